"""What is over: ended tasks and sessions, which are kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.storage.postgres.database import Connection, Database
from scheduler.storage.postgres.queries import load


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many seconds after their end tasks are kept: FAILED ones, and all others."""

    ended: float
    failed: float


class EndedPage(NamedTuple):
    """A page of the primary key: how many ids it has, the last one, and those that need not be kept."""

    size: int
    last: str | None
    ended: list[str]


class History:
    """Finds and deletes what need not be kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two; raises StoreUnavailable."""
        arguments = (after, before, limit, keeping.ended, keeping.failed)
        row = (await self._database.fetch(load("ended_page"), *arguments))[0]
        return EndedPage(row["size"], str(row["last"]) if row["last"] else None, list(map(str, row["ended"])))

    async def delete(self, connection: Connection, ids: Sequence[str], keeping: Keeping) -> int:
        """Delete those of the tasks that are still over, with attempts and keys; returns how many."""
        return len(await connection.fetch(load("delete_ended"), ids, keeping.ended, keeping.failed))

    async def delete_sessions(self, connection: Connection, age: float, limit: int) -> int:
        """Delete sessions that ended more than `age` seconds ago; returns how many."""
        return len(await connection.fetch(load("delete_ended_sessions"), age, limit))
