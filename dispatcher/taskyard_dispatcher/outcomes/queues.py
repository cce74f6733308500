"""Retry defaults of queues, as last read from the task store."""

from taskyard_core.domain import lanes
from taskyard_core.domain.task import RetryPolicy
from taskyard_core.storage.queues import Place, StoredQueues


class QueueDefaults:
    """A small cache; queues are few and change seldom."""

    def __init__(self, stored: StoredQueues) -> None:
        self._stored = stored
        self._retry: dict[Place, RetryPolicy | None] = {}

    def retry(self, lane: str) -> RetryPolicy | None:
        """What tasks of the lane's queue take where they leave retry fields out."""
        return self._retry.get(lanes.place(lane))

    async def refresh(self) -> None:
        """Read the settings again; raises StoreUnavailable."""
        self._retry = await self._stored.retries()
