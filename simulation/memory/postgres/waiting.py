"""Tasks that wait for a moment: until they may run, or until they may run no more."""

from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.tasks import lock_within
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.tasks import Decidable

_NOT_STARTED = (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED)


class WaitingTasks:
    """See taskyard_core.storage.waiting."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""
        return await self._client.run(lambda work: bool(_due(work)))

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""
        return await self._client.run(lambda work: bool(_expired(work)))


def lock_due_within(work: Work, limit: int) -> list[Decidable]:
    """Tasks whose run_at has come, longest due first, locked."""
    return lock_within(work, sorted(_due(work), key=lambda row: row.run_at), limit)


def lock_expired_within(work: Work, limit: int) -> list[Decidable]:
    """Tasks whose expires_at has passed, longest first, locked."""
    return lock_within(work, sorted(_expired(work), key=lambda row: row.expires_at or 0.0), limit)


def _due(work: Work) -> list[TaskRow]:
    return [row for row in work.tasks(TaskState.SCHEDULED) if row.run_at <= work.time]


def _expired(work: Work) -> list[TaskRow]:
    return [row for row in work.tasks(*_NOT_STARTED) if row.expires_at is not None and row.expires_at <= work.time]
