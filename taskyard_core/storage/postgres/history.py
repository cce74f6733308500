"""What is over: ended tasks and sessions, which are kept for a while."""

from collections.abc import Sequence

from taskyard_core.storage.history import EndedPage, Keeping
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load


class History:
    """Finds what need not be kept; see taskyard_core.storage.history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two; raises StoreUnavailable."""
        arguments = (after, before, limit, keeping.ended, keeping.failed)
        row = (await self._database.fetch(load("ended_page"), *arguments))[0]
        return EndedPage(row["size"], str(row["last"]) if row["last"] else None, list(map(str, row["ended"])))


async def delete_ended_within(connection: Connection, ids: Sequence[str], keeping: Keeping) -> int:
    """Delete those of the tasks that are still over, with attempts and keys; returns how many."""
    return len(await connection.fetch(load("delete_ended"), ids, keeping.ended, keeping.failed))


async def delete_sessions_within(connection: Connection, age: float, limit: int) -> int:
    """Delete sessions that ended more than `age` seconds ago; returns how many."""
    return len(await connection.fetch(load("delete_ended_sessions"), age, limit))
