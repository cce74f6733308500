"""Deletes what was kept long enough."""

import logging
from collections.abc import Awaitable, Callable

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.history import History, Keeping
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.leadership import Term

_log = logging.getLogger(__name__)

PAGE = 1000
"""Ids of one step along the primary key, and most rows of one transaction."""
SPELL = 2.0
"""Seconds after which a run pauses."""
PAUSE = 2.0
"""Seconds between runs of one walk: half of the time is left to others."""
INTERVAL = 60.0
GONE = 3600.0
"""Seconds after which a dispatcher that says nothing is forgotten."""
QUEUE_UNUSED = 24 * 3600.0
"""Seconds after which a queue that has no settings is forgotten, if nobody submits to it."""

_BEGINNING = "00000000-0000-0000-0000-000000000000"


class Retention:
    """Walks along the primary key up to ids so young that their tasks must be kept, and begins again.

    A task cannot have ended before it was made, so no index on when tasks ended is needed.
    """

    name = "retention"

    def __init__(self, fenced: Fenced, history: History, clock: Clock, keeping: Keeping) -> None:
        self._fenced = fenced
        self._history = history
        self._clock = clock
        self._keeping = keeping
        self._cursor = _BEGINNING

    @property
    def interval(self) -> float:
        """Seconds to the next run: short in the middle of a walk."""
        return INTERVAL if self._cursor == _BEGINNING else PAUSE

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if self._cursor == _BEGINNING:
            age = self._keeping.ended
            await self._forget(term, lambda t: t.delete_sessions(age, PAGE))
            await self._forget(term, lambda t: t.delete_queues(min(age, QUEUE_UNUSED), PAGE))
            await self._fenced.write(term, lambda t: t.delete_dispatchers(GONE))
        pause_at = self._clock.monotonic() + SPELL
        while await self._step(term):
            if self._clock.monotonic() >= pause_at:
                return
        self._cursor = _BEGINNING

    async def _step(self, term: Term) -> bool:
        """Deal with one page; False at the end of the walk."""
        keeping = self._keeping
        before = first_id(self._clock.time() - min(keeping.ended, keeping.failed))
        page = await self._history.page(self._cursor, before, PAGE, keeping)
        if page.ended:
            term.require()
            deleted = await self._fenced.write(term, lambda t: t.delete_ended(page.ended, keeping))
            _log.debug("deleted ended tasks", extra={"tasks": deleted})
        if page.last is None or page.size < PAGE:
            return False
        self._cursor = page.last
        return True

    async def _forget(self, term: Term, delete: Callable[[Transaction], Awaitable[int]]) -> None:
        pause_at = self._clock.monotonic() + SPELL
        while self._clock.monotonic() < pause_at:
            term.require()
            if await self._fenced.write(term, delete) < PAGE:
                return
