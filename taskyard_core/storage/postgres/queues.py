"""Queues: their settings, and what waits in them."""

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from taskyard_core.domain.demand import LaneLoad
from taskyard_core.domain.task import RetryPolicy
from taskyard_core.storage import codec
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.queues import Place, Queue


class StoredQueues:
    """The queue table and counts of the task table; see taskyard_core.storage.queues."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, namespace: str | None, after: Place | None, limit: int) -> list[Queue]:
        """Queues by name, or those of a namespace: the first `limit` after one."""
        return await self._list(namespace, *(after or (None, None)), None, limit, False)

    async def fullest(self, limit: int) -> list[Queue]:
        """The queues with most tasks that have not ended well, most first."""
        return await self._list(None, None, None, None, limit, True)

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""
        return next(iter(await self._list(namespace, None, None, name, 1, False)), None)

    async def waiting(self, most: int) -> Mapping[str, int]:
        """How many tasks wait, QUEUED or SCHEDULED, by lane; at most so many lanes."""
        return {row[0]: row[1] for row in await self._database.fetch(load("waiting_lanes"), most)}

    async def limits(self) -> Mapping[Place, int]:
        """How many tasks may wait, of queues that were told."""
        found = await self._database.fetch(load("queue_limits"))
        return {(row[0], row[1]): row[2] for row in found}

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""
        return [
            LaneLoad(lane, tasks, None if labels is None else codec.load_labels(labels))
            for lane, tasks, labels in await self._database.fetch(load("lane_backlogs"), most)
        ]

    async def retries(self) -> dict[Place, RetryPolicy | None]:
        """What tasks take where they leave retry fields out, of queues that were told."""
        found = await self._database.fetch(load("queue_retries"))
        return {(row[0], row[1]): codec.load_retry(row[2]) for row in found}

    async def register(self, used: Collection[Place]) -> None:
        """Note that tasks were submitted to these queues now."""
        namespaces, names = zip(*used, strict=True)
        await self._database.fetch(load("register_queues"), namespaces, names)

    async def update(
        self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None, most: int
    ) -> bool:
        """Set what is given; the queue need not have been used yet. False if `most` others have settings already."""
        document = codec.dump_retry(retry) if retry else None
        return bool(await self._database.fetch(load("update_queue"), namespace, name, document, max_backlog, most))

    async def _list(self, *arguments: object) -> list[Queue]:
        return [_queue(row) for row in await self._database.fetch(load("list_queues"), *arguments)]


def _queue(row: asyncpg.Record) -> Queue:
    return Queue(**dict(row) | {"retry": codec.load_retry(row["retry"]) or RetryPolicy()})
