"""Publishing every QUEUED task of some lanes, in runs that may be interrupted."""

from collections.abc import Iterable

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.lanes import LaneStore
from taskyard_core.storage.queued import QueuedTasks
from taskyard_dispatcher.duties.course import Course
from taskyard_dispatcher.leadership import Term


class Refill:
    """Publishes page by page; a run that was interrupted, or that a store failed, is gone on with by the next."""

    def __init__(self, queued: QueuedTasks, lanes: LaneStore, clock: Clock, names: Iterable[str], spell: float) -> None:
        """A run pauses after `spell` seconds."""
        self._queued = queued
        self._lanes = lanes
        self._clock = clock
        self._course = Course(names)
        self._spell = spell
        self.published = 0
        """Entries so far."""

    async def advance(self, term: Term) -> bool:
        """Publish for a while; True when all is published. Raises StoreUnavailable, TermOver."""
        pause_at = self._clock.monotonic() + self._spell
        while step := self._course.step():
            if self._clock.monotonic() >= pause_at:
                return False
            entries = await self._queued.pages(step.after, step.limit)
            term.require()
            await self._lanes.publish(entries)
            self._course.done(step, entries)
            self.published += sum(map(len, entries.values()))
        return True
