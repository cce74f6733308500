"""Ends tasks that did not start before their expires_at."""

from taskyard_core.domain.transitions import Expired
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.passage import Passage


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
