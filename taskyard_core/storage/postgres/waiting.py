"""Tasks that wait for a moment: until they may run, or until they may run no more."""

from taskyard_core.storage.postgres import rows
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.tasks import Decidable


class WaitingTasks:
    """The task table by run_at and expires_at; see taskyard_core.storage.waiting."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""
        return bool((await self._database.fetch(load("due_exists")))[0][0])

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""
        return bool((await self._database.fetch(load("expired_exists")))[0][0])


async def lock_due_within(connection: Connection, limit: int) -> list[Decidable]:
    """Tasks whose run_at has come, longest due first, held until the connection's transaction ends."""
    return [rows.decidable(row) for row in await connection.fetch(load("lock_due"), limit)]


async def lock_expired_within(connection: Connection, limit: int) -> list[Decidable]:
    """Tasks whose expires_at has passed, longest first, held until the connection's transaction ends."""
    return [rows.decidable(row) for row in await connection.fetch(load("lock_expired"), limit)]
