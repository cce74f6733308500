"""Queues: what waits in them, and their settings."""

import base64
import binascii

from taskyard_core.domain import limits, submission
from taskyard_core.domain.task import RetryPolicy
from taskyard_core.domain.violations import Violation
from taskyard_core.storage.queues import Place, Queue, StoredQueues
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.filters import Page

_BACKLOG_MAX = 2**53


class Queues:
    """Verbs on queues. Every method raises Violation, or StoreUnavailable."""

    def __init__(self, stored: StoredQueues, listed: StoredQueues) -> None:
        self._stored = stored
        self._listed = listed

    async def page(self, namespace: str, size: int, token: str) -> Page[Queue]:
        """Queues of the namespace, or all where it is empty, by name; `token` is the page before's, or empty."""
        size = filters.page_size(size, limits.PAGE_SIZE_MAX)
        where = submission.name("namespace", namespace) if namespace else None
        found = await self._listed.page(where, _after(token), size + 1)
        queues = found[:size]
        return Page(queues, _token(queues[-1]) if len(found) > size else "")

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
        if not await self._stored.update(namespace, name, retry, max_backlog, limits.QUEUES_SET_UP):
            raise Violation("name", f"{limits.QUEUES_SET_UP} queues have settings already; take those of another back")
        stored = await self._listed.get(namespace, name)
        return stored or Queue(namespace=namespace, name=name)


def _token(last: Queue) -> str:
    return base64.urlsafe_b64encode(f"{last.namespace}/{last.name}".encode()).decode()


def _after(token: str) -> Place | None:
    if not token:
        return None
    try:
        namespace, slash, name = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode().partition("/")
    except (binascii.Error, UnicodeError) as error:
        raise Violation("page_token", "is not one of ours") from error
    if not slash or "\0" in namespace + name:
        raise Violation("page_token", "is not one of ours")
    return namespace, name
