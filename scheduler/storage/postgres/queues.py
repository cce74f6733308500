"""Queues: their settings, and what waits in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import asyncpg

from scheduler.domain.task import RetryPolicy
from scheduler.storage.postgres import codec
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.queries import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue with its counts by state; `oldest_age` is seconds that its oldest QUEUED task has been ready to run.

    `retry` is what tasks take where they leave retry fields out. A `max_backlog` of 0 means the cluster's limit.
    """

    namespace: str
    name: str
    scheduled: int = 0
    blocked: int = 0
    queued: int = 0
    running: int = 0
    failed: int = 0
    oldest_age: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_backlog: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many tasks wait in a queue, and how many may (0: the cluster's limit)."""

    namespace: str
    queue: str
    waiting: int
    limit: int


class StoredQueues:
    """The queue table and counts of the task table. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, namespace: str | None = None) -> list[Queue]:
        """All queues, or those of a namespace, by name."""
        return [_queue(row) for row in await self._database.fetch(load("list_queues"), namespace)]

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""
        return next((queue for queue in await self.all(namespace) if queue.name == name), None)

    async def backlogs(self) -> Sequence[Backlog]:
        """What waits, of all queues."""
        return [Backlog(*row) for row in await self._database.fetch(load("queue_backlogs"))]

    async def register(self, used: Collection[tuple[str, str]]) -> None:
        """Note (namespace, name) of queues that tasks were submitted to."""
        namespaces, names = zip(*used, strict=True)
        await self._database.fetch(load("register_queues"), namespaces, names)

    async def update(self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None) -> None:
        """Set what is given; the queue need not have been used yet."""
        document = codec.dump_retry(retry) if retry else None
        await self._database.fetch(load("update_queue"), namespace, name, document, max_backlog)


def _queue(row: asyncpg.Record) -> Queue:
    return Queue(
        namespace=row["namespace"],
        name=row["name"],
        scheduled=row["scheduled"],
        queued=row["queued"],
        running=row["running"],
        failed=row["failed"],
        oldest_age=row["oldest_age"],
        retry=codec.load_retry(row["retry"]) or RetryPolicy(),
        max_backlog=row["max_backlog"],
    )
