"""What is done together or not at all, and under which leader."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from taskyard_core.domain.transitions import Transition
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.sessions import Held, Host
from taskyard_core.storage.tasks import Decidable, Keeping, TaskFilter


class Transaction(Protocol):
    """An open transaction of the task store; what it locks it holds until its end.

    Methods that lock leave out what somebody else holds, unless they say otherwise.
    """

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds; see Changes."""

    async def end_session(self, session: str, generation: int, reason: str) -> Host | None:
        """Give a session up; whose it was, or None if it has said hello again or was given up before."""

    async def held(self, session: str) -> list[Held]:
        """The tasks that a session runs, without payloads, locked; waits for those that somebody else holds."""

    async def lock_due(self, limit: int) -> list[Decidable]:
        """SCHEDULED tasks whose run_at has come, longest due first, locked."""

    async def lock_expired(self, limit: int) -> list[Decidable]:
        """Tasks whose expires_at passed before they started, longest first, locked."""

    async def lock_failed(self, wanted: TaskFilter, limit: int) -> list[Decidable]:
        """FAILED tasks that fit, oldest first, locked."""

    async def purge(self, ids: Sequence[str]) -> None:
        """Delete tasks with their attempts and idempotency keys."""

    async def delete_ended(self, ids: Sequence[str], keeping: Keeping) -> int:
        """Delete those of the tasks that are still over, with attempts and keys; returns how many."""

    async def delete_sessions(self, age: float, limit: int) -> int:
        """Delete sessions that ended more than `age` seconds ago; returns how many."""

    async def delete_dispatchers(self, age: float) -> None:
        """Delete dispatchers that have not written for `age` seconds."""

    async def delete_queues(self, age: float, limit: int) -> int:
        """Forget queues without settings that nobody has used for `age` seconds; returns how many."""

    async def forget_outbox(self, ids: Sequence[int]) -> None:
        """Delete outbox rows whose entries are in the lanes."""

    async def note_lane_epoch(self, epoch: str) -> None:
        """All QUEUED tasks were published to the lanes of this epoch."""


class Transactions(Protocol):
    """Where transactions begin."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that commits at the end of the block; raises StoreUnavailable."""

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the store answers and has its tables."""
