"""Tasks that wait for a moment: until they may run, or until they may run no more."""

from simulation.memory.postgres.rows import lock_within
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.tasks import Decidable

_NOT_STARTED = (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED)


def lock_due_within(work: Work, limit: int) -> list[Decidable]:
    """Tasks whose run_at has come, longest due first, locked."""
    return lock_within(work, sorted(due(work), key=lambda row: row.run_at), limit)


def lock_expired_within(work: Work, limit: int) -> list[Decidable]:
    """Tasks whose expires_at has passed, longest first, locked."""
    return lock_within(work, sorted(expired(work), key=lambda row: row.expires_at or 0.0), limit)


def due(work: Work) -> list[TaskRow]:
    """SCHEDULED tasks whose run_at has come."""
    return [row for row in work.tasks(TaskState.SCHEDULED) if row.run_at <= work.time]


def expired(work: Work) -> list[TaskRow]:
    """Tasks whose expires_at passed before they started."""
    return [row for row in work.tasks(*_NOT_STARTED) if row.expires_at is not None and row.expires_at <= work.time]
