"""Queues tasks whose run_at has come."""

from taskyard_core.domain.transitions import Due
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_core.storage.waiting import WaitingTasks
from taskyard_dispatcher.duties.passage import Passage
from taskyard_dispatcher.leadership import Term


class Promotion:
    """SCHEDULED to QUEUED, longest due first."""

    name = "promotion"
    interval = 0.2

    def __init__(self, passage: Passage, waiting: WaitingTasks) -> None:
        self._passage = passage
        self._waiting = waiting

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        # A look costs nothing where nothing is due; a transaction that locks the leader's row would be a write.
        if await self._waiting.any_due():
            await self._passage.move(term, _lock, Due())


async def _lock(transaction: Transaction, limit: int) -> list[Decidable]:
    return await transaction.lock_due(limit)
