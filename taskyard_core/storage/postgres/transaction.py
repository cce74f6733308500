"""What can be done together in one transaction."""

from collections.abc import Sequence

from taskyard_core.domain.transitions import Transition
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.postgres import rows
from taskyard_core.storage.postgres.changes import apply_within
from taskyard_core.storage.postgres.database import Connection
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.queued import published_within
from taskyard_core.storage.postgres.sessions import held_within
from taskyard_core.storage.postgres.tasks import failed, plan_for_values
from taskyard_core.storage.sessions import Held, Host
from taskyard_core.storage.tasks import Decidable, Keeping, TaskFilter

STATEMENTS = (
    *("apply", "session_end", "session_running", "lock_due", "lock_expired", "lock_failed", "purge_tasks"),
    *("delete_ended", "delete_ended_sessions", "delete_dispatchers", "delete_unused_queues", "delete_outbox"),
    "note_lane_epoch",
)
"""What may be asked within one."""


class Transaction:
    """An open transaction; see taskyard_core.storage.transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds."""
        return await apply_within(self._connection, transitions)

    async def end_session(self, session: str, generation: int, reason: str) -> Host | None:
        """Give a session up; whose it was, or None if it has said hello again or was given up before."""
        found = await self._connection.fetch(load("session_end"), session, generation, reason)
        return Host(*found[0]) if found else None

    async def held(self, session: str) -> list[Held]:
        """The tasks that a session runs, without payloads, locked in id order."""
        return await held_within(self._connection, session)

    async def lock_due(self, limit: int) -> list[Decidable]:
        """SCHEDULED tasks whose run_at has come, longest due first, locked."""
        return [rows.decidable(row) for row in await self._connection.fetch(load("lock_due"), limit)]

    async def lock_expired(self, limit: int) -> list[Decidable]:
        """Tasks whose expires_at passed before they started, longest first, locked."""
        return [rows.decidable(row) for row in await self._connection.fetch(load("lock_expired"), limit)]

    async def lock_failed(self, wanted: TaskFilter, limit: int) -> list[Decidable]:
        """FAILED tasks that fit, oldest first, locked."""
        await plan_for_values(self._connection)
        found = await self._connection.fetch(load("lock_failed"), *failed(wanted), limit)
        return [rows.decidable(row) for row in found]

    async def purge(self, ids: Sequence[str]) -> None:
        """Delete tasks with their attempts and idempotency keys."""
        await self._connection.execute(load("purge_tasks"), ids)

    async def delete_ended(self, ids: Sequence[str], keeping: Keeping) -> int:
        """Delete those of the tasks that are still over, with attempts and keys; returns how many."""
        return len(await self._connection.fetch(load("delete_ended"), ids, keeping.ended, keeping.failed))

    async def delete_sessions(self, age: float, limit: int) -> int:
        """Delete sessions that ended more than `age` seconds ago; returns how many."""
        return len(await self._connection.fetch(load("delete_ended_sessions"), age, limit))

    async def delete_dispatchers(self, age: float) -> None:
        """Delete dispatchers that have not written for `age` seconds."""
        await self._connection.execute(load("delete_dispatchers"), age)

    async def delete_queues(self, age: float, limit: int) -> int:
        """Forget queues without settings that nobody has used for `age` seconds; returns how many."""
        return len(await self._connection.fetch(load("delete_unused_queues"), age, limit))

    async def forget_outbox(self, ids: Sequence[int]) -> None:
        """Delete outbox rows whose entries are in the lanes."""
        await published_within(self._connection, ids)

    async def note_lane_epoch(self, epoch: str) -> None:
        """All QUEUED tasks were published to the lanes of this epoch."""
        await self._connection.execute(load("note_lane_epoch"), epoch)
