"""Compares the lanes with Postgres: finds what was lost although the epoch never changed, such as a deleted stream."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from taskyard_core.storage.lanes import all_names
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.duties.refill import LaneStores, Refill
from taskyard_dispatcher.leadership import Term

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

    def __init__(self, fenced: Fenced, stores: LaneStores) -> None:
        self._fenced = fenced
        self._stores = stores
        self._timing = stores.timing
        self._emptiness = Emptiness(stores.timing.lane_unused)
        self._refill: Refill | None = None

    @property
    def interval(self) -> float:
        """Seconds to the next run: short while lanes are being filled."""
        return self._timing.audit_interval if self._refill is None else 0.1

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if await self._stores.epoch.current() != await self._stores.tables.leader.lane_epoch():
            # They are being rebuilt as a whole.
            self._refill = None
            return
        if self._refill is None:
            self._refill = await self._look(term)
        if self._refill is not None and await self._refill.advance(term):
            self._refill = None

    async def _look(self, term: Term) -> Refill | None:
        before = first_id(self._stores.clock.time() - self._timing.settled)
        rows = await self._stores.tables.queued.counts(before)
        lengths = await self._lengths(await all_names(self._stores.lanes) | rows.keys())
        await self._sweep(term, [lane for lane in lengths if lane not in rows])
        short = await self._confirmed(short_lanes(rows, lengths))
        if not short:
            return None
        await self._fenced.check(term)
        _log.warning("lanes hold less than they should", extra={"lanes": len(short), "first": short[0]})
        return Refill(self._stores, short)

    async def _confirmed(self, suspects: Sequence[str]) -> list[str]:
        """Those that are short indeed: measured before the rows are counted, and without what was queued just now."""
        if not suspects:
            return []
        lengths = await self._lengths(suspects)
        rows = await self._stores.tables.queued.settled_counts(suspects, self._timing.settled)
        return short_lanes(rows, lengths)

    async def _sweep(self, term: Term, unused: Collection[str]) -> None:
        # No row is QUEUED there that was made before the count, and what became QUEUED since then came lately.
        for lane in self._emptiness.note(unused, self._stores.clock.monotonic())[:SWEEPS]:
            term.require()
            if await self._stores.lanes.sweep(lane, int(self._timing.lane_unused * 1000)):
                _log.info("lane swept", extra={"lane": lane})

    async def _lengths(self, lanes: Collection[str]) -> dict[str, int]:
        lengths: dict[str, int] = {}
        for chunk in _chunks(sorted(lanes)):
            depths = await self._stores.lanes.depths(chunk)
            lengths.update((lane, depth.length) for lane, depth in depths.items())
        return lengths


def _chunks(lanes: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(lanes), _CHUNK):
        yield lanes[start : start + _CHUNK]
