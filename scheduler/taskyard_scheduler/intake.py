"""Accepting submissions at speed: one transaction for all that arrive while the last one commits."""

import asyncio
import logging
from collections.abc import Sequence

import uuid_utils

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain import limits
from taskyard_core.domain.task import TaskSpec
from taskyard_core.runtime import failpoints
from taskyard_core.runtime.batcher import Batcher, Flush
from taskyard_core.runtime.budget import Budget
from taskyard_core.runtime.clock import Clock, SystemClock
from taskyard_core.storage.submissions import Conflict, NewTask, Submissions, Submitted
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler import meaning

_log = logging.getLogger(__name__)

REFUSED_SECONDS = 5.0
"""For how long a refused submit stands for those that would come."""
Stored = Submitted | Conflict | Exception
"""What became of a submission; or why Postgres did not take it, although it was tried alone."""

_OVERHEAD = 512
"""About what a task costs beside its payload."""
_BATCH = 2000
"""Tasks a transaction; beyond it the gain is small and latency grows."""


class _Way:
    """What is under way at once, in bytes, and the batches that it is stored in."""

    def __init__(self, flush: Flush[NewTask, Stored], most: int, parallel: int) -> None:
        self._budget = Budget(most)
        self._batcher = Batcher(flush, size=_BATCH, parallel=parallel, weigh=_weight, weight=limits.BATCH_BYTES)

    async def store(self, specs: Sequence[TaskSpec], size: int) -> Sequence[Stored]:
        """What became of each of the specs, which have so many bytes."""
        await self._budget.spend(size)
        try:
            return await self._batcher.add(await _all_new(specs, size))
        finally:
            self._budget.give_back(size)

    async def close(self) -> None:
        """Wait until all is stored."""
        await self._batcher.close()


class Intake:
    """Stores and publishes submissions. An answer means that the task is durable."""

    def __init__(self, submissions: Submissions, aftermath: Aftermath, clock: Clock | None = None) -> None:
        self._submissions = submissions
        self._clock = clock or SystemClock()
        self._refused: tuple[float, str] | None = None
        self._aftermath = aftermath
        self._small = _Way(self._store, limits.STORING_BYTES // 4, parallel=2)
        # One large transaction after the other: two would take both processors of a small Postgres from the small ones.
        self._large = _Way(self._store, limits.STORING_BYTES * 3 // 4, parallel=1)

    async def submit(self, specs: Sequence[TaskSpec]) -> Sequence[Stored]:
        """One outcome per submission, in their order; raises StoreUnavailable if it is unknown whether they are stored.

        The submissions of one call are stored together, unless Postgres refuses one of them.
        """
        size = sum(map(_bytes, specs))
        way = self._large if size > limits.LARGE_BYTES else self._small
        return await way.store(specs, size)

    def obstacle(self) -> str | None:
        """What Postgres said when it lately took no tasks: a full one answers everything else."""
        if self._refused and self._clock.monotonic() < self._refused[0] + REFUSED_SECONDS:
            return self._refused[1]
        return None

    async def close(self) -> None:
        """Wait until all that was accepted is stored and published."""
        await self._small.close()
        await self._large.close()
        await self._aftermath.close()

    async def _store(self, batch: list[NewTask]) -> list[Stored]:
        try:
            receipt = await self._submissions.submit(batch)
        except StoreUnavailable as error:
            if error.refused:
                self._note(str(error))
            raise
        except Exception as error:
            return await self._store_apart(batch, error)
        self._refused = None
        await failpoints.reach("submit-committed")
        self._aftermath.submitted(batch, receipt)
        return list(receipt.outcomes)

    async def _store_apart(self, batch: list[NewTask], error: Exception) -> list[Stored]:
        """One of them is not as it should be, although it was checked: in halves, down to what is wrong."""
        if len(batch) == 1:
            return [error]
        _log.warning("%d tasks are not stored together: %s", len(batch), error)
        half = len(batch) // 2
        stored: list[Stored] = []
        for part in (batch[:half], batch[half:]):
            try:
                stored += await self._store(part)
            except StoreUnavailable as away:
                # What the other half has come to stands.
                stored += [away] * len(part)
        return stored

    def _note(self, said: str) -> None:
        if self._refused is None or self._refused[1] != said:
            _log.warning("no task can be stored: %s", said)
        self._refused = self._clock.monotonic(), said


async def _all_new(specs: Sequence[TaskSpec], size: int) -> list[NewTask]:
    if size > limits.LARGE_BYTES and any(spec.idempotency_key for spec in specs):
        # What a large payload means takes milliseconds to find out, in which others are served.
        return await asyncio.to_thread(lambda: [_new(spec) for spec in specs])
    return [_new(spec) for spec in specs]


def _new(spec: TaskSpec) -> NewTask:
    task_id = str(uuid_utils.uuid7())
    if not spec.idempotency_key:
        return NewTask(task_id, spec)
    return NewTask(task_id, spec, meaning.request_hash(spec), meaning.written_hash(spec))


def _bytes(spec: TaskSpec) -> int:
    return _OVERHEAD + len(spec.payload)


def _weight(new: NewTask) -> int:
    return _bytes(new.spec)
