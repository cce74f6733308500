"""Tasks that wait for a moment: until they may run, or until they may run no more."""

from typing import NamedTuple

import asyncpg

from scheduler.domain.transitions import Snapshot
from scheduler.storage.postgres import rows
from scheduler.storage.postgres.database import Connection, Database
from scheduler.storage.postgres.queries import load


class Waiting(NamedTuple):
    """A task whose moment has come, as a decision sees it, and what telling of it needs."""

    snapshot: Snapshot
    lane: str
    traceparent: str | None


class WaitingTasks:
    """The task table by run_at and expires_at, on the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come; raises StoreUnavailable."""
        return bool((await self._database.fetch(load("due_exists")))[0][0])

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed; raises StoreUnavailable."""
        return bool((await self._database.fetch(load("expired_exists")))[0][0])

    async def lock_due(self, connection: Connection, limit: int) -> list[Waiting]:
        """Tasks whose run_at has come, longest due first, held until the connection's transaction ends."""
        return [_waiting(row) for row in await connection.fetch(load("lock_due"), limit)]

    async def lock_expired(self, connection: Connection, limit: int) -> list[Waiting]:
        """Tasks whose expires_at has passed, longest first, held until the connection's transaction ends."""
        return [_waiting(row) for row in await connection.fetch(load("lock_expired"), limit)]


def _waiting(row: asyncpg.Record) -> Waiting:
    return Waiting(rows.snapshot(row), row["lane"], row["traceparent"])
