"""Accepting submissions at speed: one transaction for all that arrive while the last one commits."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import uuid_utils

from scheduler import failpoints
from scheduler.batcher import Batcher
from scheduler.budget import Budget
from scheduler.domain import limits
from scheduler.domain.lanes import Lane
from scheduler.domain.task import TaskSpec
from scheduler.publication import Publication
from scheduler.storage.submissions import Conflict, NewTask, Submissions, Submitted

_BATCH = 2000
"""Tasks a transaction; beyond it the gain is small and latency grows."""


class Intake:
    """Stores and publishes submissions. An answer means that the task is durable."""

    def __init__(self, submissions: Submissions, publication: Publication) -> None:
        self._submissions = submissions
        self._publication = publication
        self._batcher = Batcher(self._store, size=_BATCH, parallel=2)
        self._budget = Budget(limits.STORING_BYTES)

    async def submit(self, specs: Sequence[TaskSpec]) -> Sequence[Submitted | Conflict]:
        """One outcome per submission, in their order; raises StoreUnavailable if it is unknown whether they are stored.

        The submissions of one call are stored together or not at all.
        """
        size = sum(len(spec.payload) for spec in specs)
        await self._budget.spend(size)
        try:
            return await self._batcher.add(specs)
        finally:
            self._budget.give_back(size)

    async def close(self) -> None:
        """Wait until all that was accepted is stored and published."""
        await self._batcher.close()
        await self._publication.close()

    async def _store(self, specs: list[TaskSpec]) -> list[Submitted | Conflict]:
        batch = [_new(spec) for spec in specs]
        receipt = await self._submissions.submit(batch)
        await failpoints.reach("submit-committed")
        self._publication.publish_soon(receipt.outbox_id, _entries(batch, receipt.outcomes))
        return receipt.outcomes


def _new(spec: TaskSpec) -> NewTask:
    return NewTask(str(uuid_utils.uuid7()), spec, request_hash(spec) if spec.idempotency_key else b"")


def request_hash(spec: TaskSpec) -> bytes:
    """Equal for requests that ask for the same task; the traceparent and absolute times of a resend may differ."""
    parts = (
        spec.type,
        spec.queue,
        str(spec.priority),
        spec.selector,
        str(spec.delay),
        str(spec.timeout),
        str(spec.retry),
    )
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + spec.payload).digest()


def _entries(batch: list[NewTask], outcomes: list[Submitted | Conflict]) -> dict[str, list[tuple[str, int]]]:
    entries: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for new, outcome in zip(batch, outcomes, strict=True):
        spec = new.spec
        if type(outcome) is Submitted and not outcome.deduplicated and not spec.waits:
            lane = _lane_name(spec.namespace, spec.queue, spec.type, spec.priority, spec.selector)
            entries[lane].append((new.id, 0))
    return entries


@lru_cache(maxsize=16384)
def _lane_name(namespace: str, queue: str, type_: str, priority: int, selector: str) -> str:
    return Lane(namespace, queue, type_, priority, selector).name
