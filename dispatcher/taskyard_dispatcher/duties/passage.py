"""Moving tasks whose moment has come, a page at a time."""

import random
from collections.abc import Awaitable, Callable
from functools import partial

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain.transitions import Due, Expired, decide
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

PAGES = 30
"""Most pages of one run."""

Lock = Callable[[Transaction, int], Awaitable[list[Decidable]]]
"""Finds and holds up to so many tasks."""


class Passage:
    """Decides and applies one event for pages of waiting tasks, under the leader's term."""

    def __init__(self, fenced: Fenced, aftermath: Aftermath, page: int = DutyTiming.page) -> None:
        """`page` is how many tasks one transaction moves."""
        self._fenced = fenced
        self._aftermath = aftermath
        self._size = page

    async def move(self, term: Term, lock: Lock, event: Due | Expired) -> None:
        """Move what is there, page by page, and tell of each once it is committed."""
        for _ in range(PAGES):
            term.require()
            applied = await self._fenced.write(term, partial(_page, lock=lock, size=self._size, event=event))
            self._aftermath.committed(applied)
            if len(applied.changes) < self._size:
                return


async def _page(transaction: Transaction, *, lock: Lock, size: int, event: Due | Expired) -> Applied:
    waiting = await lock(transaction, size)
    return await transaction.apply([decide(task.snapshot, event, random.random) for task in waiting])
