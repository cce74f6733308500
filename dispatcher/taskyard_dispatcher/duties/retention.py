"""Deletes what was kept long enough."""

import logging
from collections.abc import Awaitable, Callable

from taskyard_core.domain import limits
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.tasks import Keeping, StoredTasks
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.course import BEGINNING
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

_log = logging.getLogger(__name__)


class Retention:
    """Walks along the primary key up to ids so young that their tasks must be kept, and begins again.

    A task cannot have ended before it was made, so no index on when tasks ended is needed.
    """

    name = "retention"

    def __init__(
        self, fenced: Fenced, tasks: StoredTasks, clock: Clock, keeping: Keeping, timing: DutyTiming = DutyTiming()
    ) -> None:
        self._fenced = fenced
        self._tasks = tasks
        self._clock = clock
        self._keeping = keeping
        self._timing = timing
        self._cursor = BEGINNING

    @property
    def interval(self) -> float:
        """Seconds to the next run: short in the middle of a walk."""
        timing = self._timing
        return timing.retention_interval if self._cursor == BEGINNING else timing.retention_pause

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if self._cursor == BEGINNING:
            age, timing = self._keeping.ended, self._timing
            await self._forget(term, lambda t: t.delete_sessions(age, timing.page))
            unused = max(min(age, timing.queue_unused), 2 * limits.QUEUE_NOTED_SECONDS)
            await self._forget(term, lambda t: t.delete_queues(unused, timing.page))
            await self._fenced.write(term, lambda t: t.delete_dispatchers(timing.dispatcher_gone))
        pause_at = self._clock.monotonic() + self._timing.retention_spell
        while await self._step(term):
            if self._clock.monotonic() >= pause_at:
                return
        self._cursor = BEGINNING

    async def _step(self, term: Term) -> bool:
        """Deal with one page; False at the end of the walk."""
        keeping = self._keeping
        before = first_id(self._clock.time() - min(keeping.ended, keeping.failed))
        page = await self._tasks.ended(self._cursor, before, self._timing.page, keeping)
        if page.ended:
            term.require()
            deleted = await self._fenced.write(term, lambda t: t.delete_ended(page.ended, keeping))
            _log.debug("deleted ended tasks", extra={"tasks": deleted})
        if page.last is None or page.size < self._timing.page:
            return False
        self._cursor = page.last
        return True

    async def _forget(self, term: Term, delete: Callable[[Transaction], Awaitable[int]]) -> None:
        pause_at = self._clock.monotonic() + self._timing.retention_spell
        while self._clock.monotonic() < pause_at:
            term.require()
            if await self._fenced.write(term, delete) < self._timing.page:
                return
