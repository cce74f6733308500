"""Queues: what waits in them, and their settings."""

from scheduler.domain import submission
from scheduler.domain.task import RetryPolicy
from scheduler.domain.violations import Violation
from scheduler.storage.queues import Queue, StoredQueues

_BACKLOG_MAX = 2**53


class Queues:
    """Verbs on queues. Every method raises Violation, or StoreUnavailable."""

    def __init__(self, stored: StoredQueues) -> None:
        self._stored = stored

    async def list(self, namespace: str) -> list[Queue]:
        """Queues of the namespace, or all where it is empty, by name."""
        return await self._stored.all(submission.name("namespace", namespace) if namespace else None)

    async def update(self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None) -> Queue:
        """Set what is given: `retry` as a whole, and how many tasks may wait (0: the cluster's limit)."""
        namespace = submission.name("namespace", namespace) if namespace else "default"
        if not name:
            raise Violation("name", "is required")
        submission.name("name", name)
        if retry is not None:
            submission.check_retry(retry)
        if max_backlog is not None and not 0 <= max_backlog <= _BACKLOG_MAX:
            raise Violation("max_backlog", "must not be negative")
        await self._stored.update(namespace, name, retry, max_backlog)
        stored = await self._stored.get(namespace, name)
        return stored or Queue(namespace=namespace, name=name)
