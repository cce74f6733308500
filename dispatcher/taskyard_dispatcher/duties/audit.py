"""Compares the lanes with Postgres: finds what was lost although the epoch never changed, such as a deleted stream."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.epoch import LaneEpoch
from taskyard_core.storage.lanes import LaneStore
from taskyard_core.storage.leader import LeaderFence
from taskyard_core.storage.queued import QueuedTasks
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.duties.refill import Refill
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

_log = logging.getLogger(__name__)

SWEEPS = 2000
"""Most lanes swept in one run."""
_CHUNK = 500
"""Lanes measured at once: the server does nothing else meanwhile."""


def short_lanes(rows: Mapping[str, int], lengths: Mapping[str, int]) -> list[str]:
    """Lanes that hold fewer entries than they have QUEUED rows, by name."""
    return sorted(lane for lane, count in rows.items() if lengths.get(lane, 0) < count)


class Emptiness:
    """Since when nothing was seen to wait for lanes."""

    def __init__(self, unused: float) -> None:
        """A lane has been empty for long after `unused` seconds."""
        self._unused = unused
        self._since: dict[str, float] = {}

    def note(self, empty: Collection[str], now: float) -> list[str]:
        """Take note of all lanes for which nothing waits now; returns those where it has been so for long."""
        self._since = {lane: self._since.get(lane, now) for lane in empty}
        return sorted(lane for lane, since in self._since.items() if now - since > self._unused)


class Audit:
    """Fills lanes that hold too little, and removes those that have long been empty."""

    name = "audit"

    def __init__(
        self,
        *,
        fenced: Fenced,
        fence: LeaderFence,
        epoch: LaneEpoch,
        queued: QueuedTasks,
        lanes: LaneStore,
        clock: Clock,
        timing: DutyTiming = DutyTiming(),
    ) -> None:
        self._fenced = fenced
        self._fence = fence
        self._epoch = epoch
        self._queued = queued
        self._lanes = lanes
        self._clock = clock
        self._timing = timing
        self._emptiness = Emptiness(timing.lane_unused)
        self._refill: Refill | None = None

    @property
    def interval(self) -> float:
        """Seconds to the next run: short while lanes are being filled."""
        return self._timing.audit_interval if self._refill is None else 0.1

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if await self._epoch.current() != await self._fence.lane_epoch():
            # They are being rebuilt as a whole.
            self._refill = None
            return
        if self._refill is None:
            self._refill = await self._look(term)
        if self._refill is not None and await self._refill.advance(term):
            self._refill = None

    async def _look(self, term: Term) -> Refill | None:
        now = self._clock.time()
        rows = await self._queued.counts(first_id(now - self._timing.settled))
        lengths = await self._lengths(await self._lanes.names() | rows.keys())
        await self._sweep(term, [lane for lane in lengths if lane not in rows])
        short = await self._confirmed(short_lanes(rows, lengths))
        if not short:
            return None
        await self._fenced.check(term)
        _log.warning("lanes hold less than they should", extra={"lanes": len(short), "first": short[0]})
        return Refill(self._queued, self._lanes, self._clock, short, self._timing.refill_spell)

    async def _confirmed(self, suspects: Sequence[str]) -> list[str]:
        """Those that are short indeed: measured before the rows are counted, and without what was queued just now."""
        if not suspects:
            return []
        lengths = await self._lengths(suspects)
        return short_lanes(await self._queued.settled_counts(suspects, self._timing.settled), lengths)

    async def _sweep(self, term: Term, unused: Collection[str]) -> None:
        # No row is QUEUED there that was made before the count, and what became QUEUED since then came lately.
        for lane in self._emptiness.note(unused, self._clock.monotonic())[:SWEEPS]:
            term.require()
            if await self._lanes.sweep(lane, int(self._timing.lane_unused * 1000)):
                _log.info("lane swept", extra={"lane": lane})

    async def _lengths(self, lanes: Collection[str]) -> dict[str, int]:
        lengths: dict[str, int] = {}
        for chunk in _chunks(sorted(lanes)):
            depths = await self._lanes.depths(chunk)
            lengths.update((lane, depth.length) for lane, depth in depths.items())
        return lengths


def _chunks(lanes: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(lanes), _CHUNK):
        yield lanes[start : start + _CHUNK]
