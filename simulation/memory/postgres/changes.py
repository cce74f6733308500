"""Conditional transitions: apply.sql, attempt_standing.sql, request_cancel.sql and record_progress.sql in memory."""

from collections.abc import Callable, Mapping, Sequence

from simulation.memory.postgres import claims
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import AttemptRow, OutboxRow, TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import AttemptKey, TaskState
from taskyard_core.domain.transitions import Change, Transition
from taskyard_core.storage import codec
from taskyard_core.storage.changes import Applied, Standing, distinct
from taskyard_core.storage.claims import Bid, Claimed, Head


class Changes:
    """See taskyard_core.storage.changes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def claim(self, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
        """The bids that won, of sessions whose generation still holds."""
        if not bids:
            return []
        return await self._client.run(lambda work: claims.claim_within(work, bids, generations))

    async def claim_heads(
        self,
        quotas: Mapping[str, int],
        generations: Mapping[str, int],
        assign: Callable[[Sequence[Head]], Sequence[Bid]],
    ) -> list[Claimed]:
        """Claim at most `quotas[lane]` of each lane, leaving out what others are claiming."""
        async with self._client.transaction() as transaction:
            bids = assign(await transaction.run(lambda work: claims.lock_heads(work, quotas)))
            return await transaction.run(lambda work: claims.claim_within(work, bids, generations)) if bids else []

    async def still_queued(self, entries: Sequence[AttemptKey]) -> set[str]:
        """Ids of the (task, attempt) entries that still wait to be run."""
        return await self._client.run(
            lambda work: {task for task, attempt in entries if claims.ready(work, task, attempt)}
        )

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
    changes: list[Change | None] = [None] * len(transitions)
    queued: list[str] = []
    for place, row in _holding(work, transitions):
        transition = transitions[place]
        moved = _moved(row, transition, work.time)
        work.put(work.tables.tasks, row.id, moved)
        _end_attempt(work, moved, transition)
        changes[place] = Change(transition, row.state, moved.state, row.lane, row.traceparent)
        if moved.state is TaskState.QUEUED:
            queued.append(row.id)
    return Applied(changes, add_to_outbox(work, queued))


def add_to_outbox(work: Work, ids: Sequence[str]) -> int | None:
    """A row that names what must reach the lanes; None where nothing must."""
    if not ids:
        return None
    id = work.server.next_outbox_id()
    work.put(work.tables.outbox, id, OutboxRow(id, work.time, tuple(ids)))
    return id


def _holding(work: Work, transitions: Sequence[Transition]) -> list[tuple[int, TaskRow]]:
    """The places of the transitions whose task is where they saw it, one of each task, in id order; locks the tasks."""
    found: dict[str, tuple[int, TaskRow]] = {}
    for place in distinct(transitions):
        transition = transitions[place]
        row = work.get(work.tables.tasks, transition.id)
        if row is not None and transition.id not in found and _holds(transition, row):
            found[transition.id] = place, row
    for task_id in sorted(found):
        work.lock(work.tables.tasks, task_id)
    return [found[task_id] for task_id in sorted(found)]


def _holds(transition: Transition, row: TaskRow) -> bool:
    return (
        row.attempt == transition.attempt
        and row.state in transition.rule.sources
        and (transition.session is None or row.session == transition.session)
    )


def _moved(row: TaskRow, transition: Transition, now: float) -> TaskRow:
    rule = transition.rule
    cancelled = rule.if_cancelled if row.cancel_requested else None
    error = codec.dump_error(transition.error)
    expired = rule.clears_expiry and row.expires_at is not None and row.expires_at <= now
    return row._replace(
        state=cancelled or rule.target,
        failures=_counted(row.failures, rule.failures),
        crashes=_counted(row.crashes, rule.crashes),
        session=None if rule.clears_owner and not cancelled else row.session,
        run_at=row.run_at if cancelled or transition.delay is None else now + transition.delay,
        expires_at=None if expired else row.expires_at,
        result=transition.result,
        error=None if rule.clears_error else error if error is not None else row.error,
        cancel_requested=row.cancel_requested and not rule.clears_cancel,
        finished_at=now if cancelled or rule.target.terminal else None,
    )


def _counted(count: int, more: int | None) -> int:
    return 0 if more is None else min(count + more, 2**31 - 1)


def _end_attempt(work: Work, moved: TaskRow, transition: Transition) -> None:
    outcome = transition.rule.outcome
    if outcome is None:
        return
    assert transition.session is not None
    assert moved.started_at is not None
    place, error = (moved.id, moved.attempt), codec.dump_error(transition.error)
    ended = work.get(work.tables.attempts, place)
    if ended is not None:
        # The attempt of a lost session that turned out a success.
        row = ended._replace(outcome=outcome, error=error, finished_at=work.time)
    else:
        session = work.get(work.tables.sessions, transition.session)
        by = (session.record.worker, session.record.pod, session.record.dispatcher) if session else ("", "", "")
        row = AttemptRow(*place, transition.session, *by, moved.started_at, work.time, outcome, error)
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
