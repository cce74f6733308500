"""What can be done together in one transaction: the statements of each noun."""

from collections.abc import Sequence

from simulation.memory.postgres import changes, dispatchers, history, outbox, queues, sessions, tasks, waiting
from simulation.memory.postgres.client import OpenTransaction
from simulation.memory.postgres.rows import purge_within
from simulation.memory.postgres.tables import ONLY, LeaderRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.transitions import Transition
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.sessions import Held, Host
from taskyard_core.storage.tasks import Decidable, Keeping, TaskFilter


class Transaction:
    """An open transaction; see taskyard_core.storage.transaction."""

    def __init__(self, opened: OpenTransaction) -> None:
        self._opened = opened

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds."""
        return await self._opened.run(lambda work: changes.apply_within(work, transitions))

    async def end_session(self, session: str, generation: int, reason: str) -> Host | None:
        """Give a session up; whose it was, or None if it has said hello again or was given up before."""
        return await self._opened.run(lambda work: sessions.end_within(work, session, generation, reason))

    async def held(self, session: str) -> list[Held]:
        """The tasks that a session runs, without payloads, locked in id order."""
        return await self._opened.run(lambda work: sessions.held_within(work, session))

    async def lock_due(self, limit: int) -> list[Decidable]:
        """SCHEDULED tasks whose run_at has come, longest due first, locked."""
        return await self._opened.run(lambda work: waiting.lock_due_within(work, limit))

    async def lock_expired(self, limit: int) -> list[Decidable]:
        """Tasks whose expires_at passed before they started, longest first, locked."""
        return await self._opened.run(lambda work: waiting.lock_expired_within(work, limit))

    async def lock_failed(self, wanted: TaskFilter, limit: int) -> list[Decidable]:
        """FAILED tasks that fit, oldest first, locked."""
        return await self._opened.run(lambda work: tasks.lock_failed_within(work, wanted, limit))

    async def purge(self, ids: Sequence[str]) -> None:
        """Delete tasks with their attempts and idempotency keys."""
        await self._opened.run(lambda work: purge_within(work, ids))

    async def delete_ended(self, ids: Sequence[str], keeping: Keeping) -> int:
        """Delete those of the tasks that are still over, with attempts and keys; returns how many."""
        return await self._opened.run(lambda work: history.delete_ended_within(work, ids, keeping))

    async def delete_sessions(self, age: float, limit: int) -> int:
        """Delete sessions that ended more than `age` seconds ago; returns how many."""
        return await self._opened.run(lambda work: history.delete_sessions_within(work, age, limit))

    async def delete_dispatchers(self, age: float) -> None:
        """Delete dispatchers that have not written for `age` seconds."""
        await self._opened.run(lambda work: dispatchers.delete_dispatchers_within(work, age))

    async def delete_queues(self, age: float, limit: int) -> int:
        """Forget queues without settings that nobody has used for `age` seconds; returns how many."""
        return await self._opened.run(lambda work: queues.delete_unused_within(work, age, limit))

    async def forget_outbox(self, ids: Sequence[int]) -> None:
        """Delete outbox rows whose entries are in the lanes."""
        await self._opened.run(lambda work: outbox.delete_within(work, ids))

    async def note_lane_epoch(self, epoch: str) -> None:
        """All QUEUED tasks were published to the lanes of this epoch."""
        await self._opened.run(lambda work: _note_lane_epoch(work, epoch))


def _note_lane_epoch(work: Work, epoch: str) -> None:
    work.lock(work.tables.leader, ONLY)
    row = work.get(work.tables.leader, ONLY) or LeaderRow()
    work.put(work.tables.leader, ONLY, row._replace(lane_epoch=epoch))
