"""Ends tasks that did not start before their expires_at."""

from taskyard_core.domain.transitions import Expired
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_core.storage.waiting import WaitingTasks
from taskyard_dispatcher.duties.passage import Passage
from taskyard_dispatcher.leadership import Term


class Expiry:
    """SCHEDULED, BLOCKED or QUEUED to EXPIRED; what the lanes still hold of them dies at its claim."""

    name = "expiry"
    interval = 1.0

    def __init__(self, passage: Passage, waiting: WaitingTasks) -> None:
        self._passage = passage
        self._waiting = waiting

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if await self._waiting.any_expired():
            await self._passage.move(term, _lock, Expired())


async def _lock(transaction: Transaction, limit: int) -> list[Decidable]:
    return await transaction.lock_expired(limit)
