"""Queues: their settings, and what waits in them."""

from collections.abc import Collection, Sequence

import asyncpg

from scheduler.domain.demand import LaneLoad
from scheduler.domain.task import RetryPolicy
from scheduler.storage import codec
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.queries import load
from scheduler.storage.queues import Backlog, Queue


class StoredQueues:
    """The queue table and counts of the task table; see scheduler.storage.queues."""

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

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""
        return [
            LaneLoad(lane, tasks, None if labels is None else codec.load_labels(labels))
            for lane, tasks, labels in await self._database.fetch(load("lane_backlogs"), most)
        ]

    async def retries(self) -> dict[tuple[str, str], RetryPolicy | None]:
        """What tasks take where they leave retry fields out, of queues that were told."""
        found = await self._database.fetch("SELECT namespace, name, retry FROM taskyard.queue WHERE retry IS NOT NULL")
        return {(row[0], row[1]): codec.load_retry(row[2]) for row in found}

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
