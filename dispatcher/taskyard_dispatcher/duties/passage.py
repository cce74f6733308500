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

PAGE = 1000
"""Tasks of one transaction."""
PAGES = 30
"""Most pages of one run."""

Lock = Callable[[Transaction, int], Awaitable[list[Decidable]]]
"""Finds and holds up to so many tasks."""


class Passage:
    """Decides and applies one event for pages of waiting tasks, under the leader's term."""

    def __init__(self, fenced: Fenced, aftermath: Aftermath) -> None:
        self._fenced = fenced
        self._aftermath = aftermath

    async def move(self, term: Term, lock: Lock, event: Due | Expired) -> None:
        """Move what is there, page by page, and tell of each once it is committed."""
        for _ in range(PAGES):
            term.require()
            applied = await self._fenced.write(term, partial(_page, lock=lock, event=event))
            self._aftermath.committed(applied)
            if len(applied.changes) < PAGE:
                return


async def _page(transaction: Transaction, *, lock: Lock, event: Due | Expired) -> Applied:
    waiting = await lock(transaction, PAGE)
    return await transaction.apply([decide(task.snapshot, event, random.random) for task in waiting])
