"""Moving tasks whose moment has come, a page at a time: promotion queues them, expiry ends them."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain.transitions import Due, Expired, decide
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.tasks import Decidable, StoredTasks
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

PAGES = 30
"""Most pages of one run."""


class Passage(ABC):
    """Decides and applies one event for pages of waiting tasks, under the leader's term. See Duty."""

    event: Due | Expired

    def __init__(
        self,
        fenced: Fenced,
        tasks: StoredTasks,
        aftermath: Aftermath,
        page: int = DutyTiming.page,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`page` is how many tasks one transaction moves."""
        self._fenced = fenced
        self._tasks = tasks
        self._aftermath = aftermath
        self._page = page
        self._draw = draw

    @abstractmethod
    async def any(self) -> bool:
        """Whether the moment of any task has come."""

    @abstractmethod
    async def lock(self, transaction: Transaction, limit: int) -> list[Decidable]:
        """Find and hold up to so many such tasks."""

    async def run_once(self, term: Term) -> None:
        """Move what is there, page by page, and tell of each once it is committed."""
        # A look costs nothing where nothing is due; a transaction that locks the leader's row would be a write.
        if not await self.any():
            return
        for _ in range(PAGES):
            term.require()
            applied = await self._fenced.write(term, self._move)
            self._aftermath.committed(applied)
            if len(applied.changes) < self._page:
                return

    async def _move(self, transaction: Transaction) -> Applied:
        waiting = await self.lock(transaction, self._page)
        return await transaction.apply([decide(task.snapshot, self.event, self._draw) for task in waiting])


class Promotion(Passage):
    """SCHEDULED to QUEUED, longest due first."""

    name = "promotion"
    interval = 0.2
    event = Due()

    async def any(self) -> bool:
        """See Passage."""
        return await self._tasks.any_due()

    async def lock(self, transaction: Transaction, limit: int) -> list[Decidable]:
        """See Passage."""
        return await transaction.lock_due(limit)


class Expiry(Passage):
    """SCHEDULED, BLOCKED or QUEUED to EXPIRED; what the lanes still hold of them dies at its claim."""

    name = "expiry"
    interval = 1.0
    event = Expired()

    async def any(self) -> bool:
        """See Passage."""
        return await self._tasks.any_expired()

    async def lock(self, transaction: Transaction, limit: int) -> list[Decidable]:
        """See Passage."""
        return await transaction.lock_expired(limit)
