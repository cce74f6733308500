"""What several statements do with rows of tasks."""

from collections.abc import Sequence

from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import RetryPolicy
from taskyard_core.domain.transitions import Snapshot
from taskyard_core.storage import codec
from taskyard_core.storage.tasks import Decidable


def rows(work: Work, ids: Sequence[str]) -> list[TaskRow]:
    """Those of the tasks that exist."""
    found = (work.get(work.tables.tasks, task_id) for task_id in dict.fromkeys(ids))
    return [row for row in found if row is not None]


def lock_within(work: Work, rows: Sequence[TaskRow], limit: int) -> list[Decidable]:
    """The first of these tasks that nobody else holds, locked."""
    locked: list[Decidable] = []
    for row in rows:
        if len(locked) == limit:
            break
        if work.try_lock(work.tables.tasks, row.id):
            locked.append(decidable(row))
    return locked


def purge_within(work: Work, ids: Sequence[str]) -> None:
    """Delete the tasks with their attempts and idempotency keys."""
    tables = work.tables
    for row in rows(work, ids):
        work.lock(tables.tasks, row.id)
        slot = row.namespace, row.idempotency_key or ""
        key = work.get(tables.keys, slot)
        if key is not None and key.task_id == row.id:
            work.lock(tables.keys, slot)
            work.put(tables.keys, slot, None)
        for attempt in range(1, row.attempt + 1):
            if work.get(tables.attempts, (row.id, attempt)) is not None:
                work.put(tables.attempts, (row.id, attempt), None)
        work.put(tables.tasks, row.id, None)


def decidable(row: TaskRow) -> Decidable:
    """What a decision looks at, and what is told of the task."""
    snapshot = Snapshot(
        id=row.id,
        state=row.state,
        attempt=row.attempt,
        failures=row.failures,
        crashes=row.crashes,
        cancel_requested=row.cancel_requested,
        retry=codec.load_retry(row.retry) or RetryPolicy(),
        session=row.session,
    )
    return Decidable(snapshot, row.lane, row.traceparent)
