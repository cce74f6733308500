"""What is over: ended tasks and sessions, which are kept for a while."""

from collections.abc import Sequence

from simulation.memory.postgres.rows import purge_within
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.tasks import EndedPage, Keeping


def delete_ended_within(work: Work, ids: Sequence[str], keeping: Keeping) -> int:
    """Delete those of the tasks that are still over, with attempts and keys; returns how many."""
    rows = (work.get(work.tables.tasks, task_id) for task_id in sorted(set(ids)))
    over = [row.id for row in rows if row is not None and _is_over(row, work.time, keeping)]
    free = [task_id for task_id in over if work.try_lock(work.tables.tasks, task_id)]
    purge_within(work, free)
    return len(free)


def delete_sessions_within(work: Work, age: float, limit: int) -> int:
    """Delete sessions that ended more than `age` seconds ago and run nothing; returns how many."""
    before = work.time - age
    busy = {row.session for row in work.tasks(TaskState.RUNNING)}
    ended = sorted(
        (row.ended_at, row.id)
        for row in work.tables.sessions.rows.values()
        if not row.live and row.ended_at is not None and row.ended_at < before and row.id not in busy
    )
    deleted = 0
    for _, id in ended:
        if (
            deleted < limit
            and work.get(work.tables.sessions, id) is not None
            and work.try_lock(work.tables.sessions, id)
        ):
            work.put(work.tables.sessions, id, None)
            deleted += 1
    return deleted


def page(work: Work, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
    """The next ids between two."""
    rows = sorted(row for row in work.tables.tasks.rows.values() if after < row.id < before)[:limit]
    ended = [row.id for row in rows if _is_over(row, work.time, keeping)]
    return EndedPage(len(rows), rows[-1].id if rows else None, ended)


def _is_over(row: TaskRow, now: float, keeping: Keeping) -> bool:
    kept = keeping.failed if row.state is TaskState.FAILED else keeping.ended
    return row.finished_at is not None and row.finished_at < now - kept
