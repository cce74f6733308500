"""Queues tasks whose run_at has come."""

from taskyard_core.domain.transitions import Due
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties.passage import Passage


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
