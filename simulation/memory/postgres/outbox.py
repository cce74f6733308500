"""What must still reach the lanes."""

from collections.abc import Iterable, Sequence

from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.lanes import Entries, lane_entries


def delete_within(work: Work, ids: Sequence[int]) -> None:
    """Forget rows whose entries are in the lanes."""
    for id in sorted(set(ids)):
        if work.get(work.tables.outbox, id) is not None:
            work.lock(work.tables.outbox, id)
            work.put(work.tables.outbox, id, None)


def stale(work: Work, age: float, limit: int) -> tuple[list[int], Entries]:
    """Rows older than `age` seconds, and what they stand for."""
    before = work.time - age
    rows = sorted(row for row in work.tables.outbox.rows.values() if row.created_at < before)[:limit]
    return [row.id for row in rows], _entries(work, (task for row in rows for task in row.task_ids))


def _entries(work: Work, task_ids: Iterable[str]) -> Entries:
    rows = (work.get(work.tables.tasks, task_id) for task_id in task_ids)
    return lane_entries((row.lane, row.id, row.attempt) for row in rows if row and row.state is TaskState.QUEUED)


def backlog(work: Work) -> tuple[int, float]:
    """Rows that wait, and the age of the oldest in seconds."""
    rows = work.tables.outbox.rows.values()
    return len(rows), max((work.time - row.created_at for row in rows), default=0.0)
