"""Accepting tasks: insert_keys.sql, key_owners.sql and submit.sql in memory, as one statement."""

from collections.abc import Sequence
from datetime import UTC, datetime

from simulation.memory.postgres.changes import add_to_outbox
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import KeyRow, TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.task import TaskState
from taskyard_core.storage import codec
from taskyard_core.storage.submissions import Conflict, NewTask, Receipt, Submitted


class Submissions:
    """See taskyard_core.storage.submissions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def submit(self, batch: Sequence[NewTask]) -> Receipt:
        """Store the batch in one transaction."""
        return await self._client.run(lambda work: _submit(work, batch))


def _submit(work: Work, batch: Sequence[NewTask]) -> Receipt:
    outcomes = [_accepted(work, new) for new in batch]
    fresh = [new for new, outcome in zip(batch, outcomes, strict=True) if _is_new(outcome)]
    for new in fresh:
        work.put(work.tables.tasks, new.id, _row(new, work.time))
    return Receipt(outcomes, add_to_outbox(work, [new.id for new in fresh if not new.spec.waits]))


def _is_new(outcome: Submitted | Conflict) -> bool:
    return isinstance(outcome, Submitted) and not outcome.deduplicated


def _accepted(work: Work, new: NewTask) -> Submitted | Conflict:
    created = datetime.fromtimestamp(work.time, UTC)
    if not new.spec.idempotency_key:
        return Submitted(new.id, created)
    slot = new.spec.namespace, new.spec.idempotency_key
    work.lock(work.tables.keys, slot)
    owner = work.get(work.tables.keys, slot)
    if owner is None:
        work.put(work.tables.keys, slot, KeyRow(*slot, new.hash, new.written, new.id, work.time))
        return Submitted(new.id, created)
    if not new.repeats(owner.hash, owner.written):
        return Conflict(owner.task_id)
    return Submitted(owner.task_id, datetime.fromtimestamp(owner.created_at, UTC), deduplicated=True)


def _row(new: NewTask, now: float) -> TaskRow:
    spec = new.spec
    return TaskRow(
        id=new.id,
        namespace=spec.namespace,
        queue=spec.queue,
        type=spec.type,
        selector=spec.selector,
        priority=spec.priority,
        lane=Lane(spec.namespace, spec.queue, spec.type, spec.priority, spec.selector).name,
        state=TaskState.SCHEDULED if spec.waits else TaskState.QUEUED,
        created_at=now,
        run_at=spec.run_at.timestamp() if spec.run_at else now + (spec.delay or 0.0),
        payload=spec.payload,
        idempotency_key=spec.idempotency_key,
        expires_at=spec.expires_at.timestamp() if spec.expires_at else None,
        timeout=spec.timeout,
        retry=codec.dump_retry(spec.retry) if spec.retry else None,
        traceparent=spec.traceparent,
    )
