"""Claiming: claim.sql, lane_heads.sql and still_queued.sql in memory."""

from collections.abc import Mapping, Sequence

from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain import limits
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed, Head


def claimed(row: TaskRow, now: float) -> Claimed:
    """A RUNNING row as its session must know it."""
    assert row.session is not None
    return Claimed(
        row.id,
        row.attempt,
        row.session,
        row.lane,
        row.payload if len(row.payload) <= limits.PAYLOAD_BYTES else None,
        row.timeout,
        row.failures,
        row.crashes,
        row.retry,
        row.traceparent if len(row.traceparent or "") <= limits.TRACEPARENT_LENGTH else None,
        now - row.run_at if 0 < row.run_at < now else 0.0,
    )


def claim_within(work: Work, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
    """The bids that won."""
    live = _lock_live(work, sorted({bid.session for bid in bids}), generations)
    won_by: dict[str, tuple[Bid, TaskRow]] = {}
    for bid in sorted(bids):
        row = ready(work, bid.task_id, bid.attempt) if bid.session in live else None
        if row is not None and bid.task_id not in won_by:
            work.lock(work.tables.tasks, bid.task_id)
            won_by[bid.task_id] = bid, row
    won: list[Claimed] = []
    carried = 0
    for bid, row in won_by.values():
        if carried >= CLAIM_BYTES:
            break
        carried += len(row.payload) if len(row.payload) <= limits.PAYLOAD_BYTES else 0
        running = row._replace(
            state=TaskState.RUNNING,
            attempt=row.attempt + 1,
            session=bid.session,
            started_at=work.time,
            progress=None,
        )
        work.put(work.tables.tasks, row.id, running)
        won.append(claimed(running, work.time))
    return won


def _lock_live(work: Work, sessions: Sequence[str], generations: Mapping[str, int]) -> set[str]:
    live = set()
    for id in sessions:
        row = work.get(work.tables.sessions, id)
        if row is not None and row.live and row.generation == generations[id]:
            work.lock(work.tables.sessions, id, share=True)
            live.add(id)
    return live


def ready(work: Work, task_id: str, attempt: int) -> TaskRow | None:
    """The task, if the entry still is of it."""
    row = work.get(work.tables.tasks, task_id)
    if row is None or row.state is not TaskState.QUEUED or row.attempt != attempt:
        return None
    return row if _may_run(row, work.time) else None


_LAST = 2**31 - 1
"""Attempts are integers of the table's kind."""


def _may_run(row: TaskRow, now: float) -> bool:
    return row.attempt < _LAST and not row.cancel_requested and (row.expires_at is None or row.expires_at > now)


def lock_heads(work: Work, quotas: Mapping[str, int]) -> list[Head]:
    """At most `quotas[lane]` waiting tasks of each lane that nobody else holds, locked."""
    heads: list[Head] = []
    waiting = sorted(row for row in work.tasks(TaskState.QUEUED) if _may_run(row, work.time) and row.lane in quotas)
    left = dict(quotas)
    for row in waiting:
        if left[row.lane] > 0 and work.try_lock(work.tables.tasks, row.id):
            left[row.lane] -= 1
            heads.append(Head(row.id, row.attempt, row.lane))
    return sorted(heads, key=lambda head: list(quotas).index(head.lane))
