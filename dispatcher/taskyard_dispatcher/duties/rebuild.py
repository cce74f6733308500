"""Fills the lanes again after Redis was wiped, restarted or replaced."""

import logging

from taskyard_core.storage.term import TermOver
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.refill import LaneStores, Refill
from taskyard_dispatcher.leadership import Term

_log = logging.getLogger(__name__)


class Rebuild:
    """Begins an epoch of the lanes, publishes every QUEUED task, and only then notes the epoch in Postgres.

    If the epoch changes before, all begins anew. Entries that survived are doubled, and die at their claim.
    """

    name = "rebuild"
    interval = 0.5

    def __init__(self, fenced: Fenced, stores: LaneStores) -> None:
        self._fenced = fenced
        self._stores = stores
        self._began: str | None = None
        self._refill: Refill | None = None

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        current = await self._stores.epoch.current()
        if current is not None and current == await self._stores.tables.leader.lane_epoch():
            return
        if self._refill is None or current != self._began:
            # Not gone on with if beginning fails half-way.
            self._refill = None
            self._refill = await self._begin(term)
        if not await self._refill.advance(term):
            return
        if await self._stores.epoch.current() == self._began:
            await self._finish(term, self._refill.published)

    async def _begin(self, term: Term) -> Refill:
        await self._fenced.check(term)
        term.require()
        self._began = await self._begin_epoch(term)
        # Listed after the epoch began: what is queued from now on is published into it by whoever queues it.
        names = (await self._stores.tables.queued.lanes()).names
        _log.warning("the lanes are filled again", extra={"epoch": self._began, "lanes": len(names)})
        return Refill(self._stores, names)

    async def _begin_epoch(self, term: Term) -> str:
        try:
            return await self._stores.epoch.begin(term.number)
        except TermOver as error:
            # Postgres decides: if this term still is the newest there, Redis remembers what Postgres has forgotten, or
            # never knew. Should a later leader begin right now, it finds the epoch changed, and fills the lanes anew.
            await self._fenced.check(term)
            _log.warning("Redis remembers a later term than Postgres has; it is passed over: %s", error)
            return await self._stores.epoch.begin(term.number, regardless=True)

    async def _finish(self, term: Term, published: int) -> None:
        epoch = self._began
        assert epoch is not None
        await self._fenced.write(term, lambda transaction: transaction.note_lane_epoch(epoch))
        self._refill = None
        _log.info("the lanes are full again", extra={"epoch": epoch, "entries": published})
