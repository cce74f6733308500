"""Conditional transitions: apply.sql, attempt_standing.sql, request_cancel.sql and record_progress.sql in memory."""

from collections.abc import Sequence

from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import AttemptRow, OutboxRow, TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import AttemptKey, Outcome, TaskState
from taskyard_core.domain.transitions import Transition
from taskyard_core.storage import codec
from taskyard_core.storage.changes import Applied, Moved, Standing, distinct, matched

_WAITS_AGAIN = (TaskState.QUEUED, TaskState.SCHEDULED)


class Changes:
    """See taskyard_core.storage.changes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds."""
        return await self._client.run(lambda work: apply_within(work, transitions))

    async def standings(self, attempts: Sequence[AttemptKey]) -> list[Standing]:
        """How each (task, attempt) ended, in their order."""
        return await self._client.run(lambda work: [_standing(work, attempt) for attempt in attempts])

    async def request_cancel(self, ids: Sequence[str]) -> set[str]:
        """Mark running tasks; returns the ids of those that were running."""
        return await self._client.run(lambda work: _request_cancel(work, ids))

    async def record_progress(self, said: Sequence[tuple[str, int, str]]) -> None:
        """Store (task, attempt, JSON progress) of attempts that still run."""
        await self._client.run(lambda work: _record_progress(work, said))


def apply_within(work: Work, transitions: Sequence[Transition]) -> Applied:
    """The same in an open transaction."""
    if not transitions:
        return Applied([], None)
    decided = _holding(work, distinct(transitions))
    states: Moved = {}
    queued: list[str] = []
    for decision, row in decided:
        moved = _moved(row, decision, work.time)
        work.put(work.tables.tasks, row.id, moved)
        _end_attempt(work, moved, decision)
        states[row.id, row.attempt, decision.session] = moved.state
        if moved.state is TaskState.QUEUED:
            queued.append(row.id)
    outbox_id = add_to_outbox(work, queued)
    return Applied(list(matched(transitions, states)), outbox_id)


def add_to_outbox(work: Work, ids: Sequence[str]) -> int | None:
    """A row that names what must reach the lanes; None where nothing must."""
    if not ids:
        return None
    id = work.server.next_outbox_id()
    work.put(work.tables.outbox, id, OutboxRow(id, work.time, tuple(ids)))
    return id


def _holding(work: Work, transitions: Sequence[Transition]) -> list[tuple[Transition, TaskRow]]:
    """The transitions whose task is where they saw it, one of each task, in id order; locks the tasks."""
    found: dict[str, tuple[Transition, TaskRow]] = {}
    for decision in transitions:
        row = work.get(work.tables.tasks, decision.id)
        if row is not None and decision.id not in found and _holds(decision, row):
            found[decision.id] = decision, row
    for task_id in sorted(found):
        work.lock(work.tables.tasks, task_id)
    return [found[task_id] for task_id in sorted(found)]


def _holds(decision: Transition, row: TaskRow) -> bool:
    return (
        row.attempt == decision.attempt
        and (row.state is decision.source or (decision.target is TaskState.SUCCEEDED and row.state is TaskState.QUEUED))
        and (decision.session is None or row.session == decision.session)
    )


def _moved(row: TaskRow, decision: Transition, now: float) -> TaskRow:
    target = decision.target
    if row.cancel_requested and decision.source is TaskState.RUNNING and target in _WAITS_AGAIN:
        target = TaskState.CANCELLED
    succeeded, again = target is TaskState.SUCCEEDED, target in _WAITS_AGAIN
    error = codec.dump_error(decision.error)
    expired = decision.source is TaskState.FAILED and row.expires_at is not None and row.expires_at <= now
    return row._replace(
        state=target,
        failures=row.failures if succeeded else decision.failures,
        crashes=row.crashes if succeeded else decision.crashes,
        session=None if again and decision.outcome is not Outcome.CRASHED else row.session,
        run_at=row.run_at if decision.delay is None else now + decision.delay,
        expires_at=None if expired else row.expires_at,
        result=decision.result,
        error=None if succeeded else error if error is not None else row.error,
        cancel_requested=row.cancel_requested and not again,
        finished_at=now if target.terminal else None,
    )


def _end_attempt(work: Work, moved: TaskRow, decision: Transition) -> None:
    if decision.outcome is None:
        return
    assert decision.session is not None
    assert moved.started_at is not None
    place, error = (moved.id, moved.attempt), codec.dump_error(decision.error)
    ended = work.get(work.tables.attempts, place)
    if ended is not None:
        # The attempt of a lost session that turned out a success.
        row = ended._replace(outcome=decision.outcome, error=error, finished_at=work.time)
    else:
        session = work.get(work.tables.sessions, decision.session)
        by = (session.record.worker, session.record.pod, session.record.dispatcher) if session else ("", "", "")
        row = AttemptRow(*place, decision.session, *by, moved.started_at, work.time, decision.outcome, error)
    work.put(work.tables.attempts, place, row)


def _standing(work: Work, attempt: AttemptKey) -> Standing:
    row = work.get(work.tables.attempts, attempt)
    return Standing(row.outcome, row.session) if row else Standing(None, None)


def _request_cancel(work: Work, ids: Sequence[str]) -> set[str]:
    running = [row for row in _rows(work, ids) if row.state is TaskState.RUNNING]
    for row in running:
        work.lock(work.tables.tasks, row.id)
        work.put(work.tables.tasks, row.id, row._replace(cancel_requested=True))
    return {row.id for row in running}


def _record_progress(work: Work, said: Sequence[tuple[str, int, str]]) -> None:
    by_attempt = {(task_id, attempt): progress for task_id, attempt, progress in said}
    for row in _rows(work, [task_id for task_id, _, _ in said]):
        progress = by_attempt.get((row.id, row.attempt))
        if progress is not None and row.state is TaskState.RUNNING:
            work.lock(work.tables.tasks, row.id)
            work.put(work.tables.tasks, row.id, row._replace(progress=progress))


def _rows(work: Work, ids: Sequence[str]) -> list[TaskRow]:
    rows = (work.get(work.tables.tasks, task_id) for task_id in sorted(set(ids)))
    return [row for row in rows if row is not None]
