"""Workers that have a session now."""

import asyncpg

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name
from taskyard_core.storage import codec
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.tasks import PAGE_BYTES
from taskyard_core.storage.workers import Worker, WorkerPlace


class LiveWorkers:
    """The session table, seen by those who ask about workers; see taskyard_core.storage.workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, namespace: str | None, after: WorkerPlace | None, limit: int
    ) -> tuple[list[Worker], WorkerPlace | None]:
        """Workers by name, or those of a namespace: up to `limit` after a place, and the last one's or None on the last
        page; see taskyard_core.storage.workers.
        """
        place = after or (None, None, None)
        found = await self._database.fetch(load("live_workers"), namespace, *place, limit, PAGE_BYTES)
        last = found[-1] if found and found[0]["found"] > len(found) else None
        return list(map(_worker, found)), (last["namespace"], last["worker"], last["digest"]) if last else None

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many; raises StoreUnavailable."""
        return [
            Capabilities(
                namespace,
                frozenset(codec.strings(types)),
                frozenset(codec.strings(queues)),
                codec.load_labels(labels),
            )
            for namespace, types, queues, labels in await self._database.fetch(load("worker_capabilities"), most)
        ]


def _worker(row: asyncpg.Record) -> Worker:
    return Worker(
        session_id=public_name(str(row["id"])),
        name=row["worker"],
        namespace=row["namespace"],
        labels=codec.load_labels(row["labels"]),
        queues=codec.strings(row["queues"]),
        types=codec.strings(row["types"]),
        slots=row["slots"],
        running=row["running"],
        pod=row["pod"],
        dispatcher=row["dispatcher"],
        sdk=row["sdk"],
        pid=row["pid"],
        connected_at=row["connected_at"],
        draining=row["draining"],
    )
