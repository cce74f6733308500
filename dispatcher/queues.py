"""Retry defaults of queues, as last read from Postgres."""

from scheduler.domain.task import RetryPolicy
from scheduler.storage.postgres import codec
from scheduler.storage.postgres.database import Database


class QueueDefaults:
    """A small cache; queues are few and change seldom."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._retry: dict[tuple[str, str], RetryPolicy | None] = {}

    def retry(self, namespace: str, queue: str) -> RetryPolicy | None:
        """What tasks of the queue take where they leave retry fields out."""
        return self._retry.get((namespace, queue))

    async def refresh(self) -> None:
        """Read the settings again; raises StoreUnavailable."""
        found = await self._database.fetch("SELECT namespace, name, retry FROM taskyard.queue WHERE retry IS NOT NULL")
        self._retry = {(row[0], row[1]): codec.load_retry(row[2]) for row in found}
