"""How much there is to do, for those who start and stop workers."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from taskyard_core.domain import lanes, limits, selectors, submission
from taskyard_core.domain.demand import Demand, Loads, Pool
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.clock import Clock
from taskyard_core.runtime.pace import COUNTING, rest
from taskyard_core.storage.queues import StoredQueues

LANES = 25_000
"""Lanes with waiting tasks that are looked at, the fullest first; more than `max_lanes` lets there be."""
FRESH_SECONDS = 1.0
"""A count serves all who ask so soon after it."""


class Backlogs:
    """Tells the backlog of pools of workers from one count for all that ask within a second or so."""

    def __init__(self, stored: StoredQueues, clock: Clock) -> None:
        self._stored = stored
        self._clock = clock
        self._counting = asyncio.Lock()
        self._loads = Loads()
        self._stale_at = float("-inf")

    async def of(self, pool: Pool) -> Demand:
        """What there is to do for the pool; raises StoreUnavailable."""
        async with self._counting:
            if self._clock.monotonic() >= self._stale_at:
                await self._count()
        return self._loads.demand(pool)

    async def refresh(self) -> None:
        """Count now; raises StoreUnavailable."""
        async with self._counting:
            await self._count()

    def by_selector(self) -> Mapping[tuple[str, str, str], int]:
        """What waited at the last count, by namespace, queue and selector."""
        waiting: Counter[tuple[str, str, str]] = Counter()
        for name, tasks in self._loads.waiting.items():
            lane = lanes.told(name)
            waiting[lane.namespace, lane.queue, lane.selector] += tasks
        return waiting

    async def _count(self) -> None:
        began = self._clock.monotonic()
        self._loads.replace(await self._stored.loads(LANES))
        now = self._clock.monotonic()
        self._stale_at = now + rest(now - began, COUNTING, least=FRESH_SECONDS)


def read_labels(text: str) -> dict[str, str]:
    """Labels written as "io=ssd,zone=a", as workers are told theirs; raises Violation."""
    labels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise Violation("labels", f"are written key=value,key=value; got {part[:80]!r}")
        if key in labels:
            raise Violation("labels", f"give {key[:80]!r} twice")
        labels[key] = value
    return labels


def pool(
    namespace: str,
    labels: Mapping[str, str],
    queues: Sequence[str],
    types: Sequence[str],
    *,
    fields: tuple[str, str] = ("queues", "types"),
) -> Pool:
    """A checked pool; raises Violation naming the field. `fields` is how the caller spells queues and types."""
    selectors.check_labels(labels)
    queue_field, type_field = fields
    for field, given in zip(fields, (queues, types), strict=True):
        if len(given) > limits.SESSION_TYPES:
            raise Violation(field, f"more than {limits.SESSION_TYPES}")
    return Pool(
        namespace=submission.name("namespace", namespace) if namespace else "default",
        labels=dict(labels),
        queues=frozenset(submission.name(queue_field, queue) for queue in queues if queue),
        types=frozenset(submission.name(type_field, type_, limits.TYPE_LENGTH) for type_ in types if type_),
    )
