"""Workers that have a session now."""

import asyncpg

from scheduler.domain.session_names import public_name
from scheduler.storage import codec
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.queries import load
from scheduler.storage.workers import Worker


class LiveWorkers:
    """The session table, seen by those who ask about workers; see scheduler.storage.workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, namespace: str | None = None) -> list[Worker]:
        """All workers, or those of a namespace; raises StoreUnavailable."""
        return [_worker(row) for row in await self._database.fetch(load("live_workers"), namespace)]


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
