"""Publishing every QUEUED task of some lanes, in runs that may be interrupted."""

from collections.abc import Iterable
from dataclasses import dataclass

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.epoch import LaneEpoch
from taskyard_core.storage.lanes import LaneStore
from taskyard_core.storage.store import TaskStore
from taskyard_dispatcher.duties.course import Course
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming


@dataclass(frozen=True, kw_only=True)
class LaneStores:
    """The tables, and the lanes that are filled from them."""

    tables: TaskStore
    lanes: LaneStore
    epoch: LaneEpoch
    clock: Clock
    timing: DutyTiming = DutyTiming()


class Refill:
    """Publishes page by page; a run that was interrupted, or that a store failed, is gone on with by the next."""

    def __init__(self, stores: LaneStores, names: Iterable[str]) -> None:
        self._stores = stores
        self._course = Course(names)
        self.published = 0
        """Entries so far."""

    async def advance(self, term: Term) -> bool:
        """Publish for a while; True when all is published. Raises StoreUnavailable, TermOver."""
        clock = self._stores.clock
        pause_at = clock.monotonic() + self._stores.timing.refill_spell
        while step := self._course.step():
            if clock.monotonic() >= pause_at:
                return False
            entries = await self._stores.tables.queued.pages(step.after, step.limit)
            term.require()
            await self._stores.lanes.publish(entries)
            self._course.done(step, entries)
            self.published += sum(map(len, entries.values()))
        return True
