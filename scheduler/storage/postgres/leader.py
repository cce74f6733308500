"""The fence of the leader's duties: one row that knows the newest term."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.storage.postgres.database import Connection, Database


class TermOver(Exception):
    """A newer leader has begun its term; this one may change nothing more."""


class LeaderFence:
    """Raises terms, and opens transactions that can only commit under the current one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, term: int, dispatcher: str) -> None:
        """Record a new term; raises TermOver if a newer one is known."""
        raised = await self._database.fetch(
            "UPDATE taskyard.leader SET term = $1, dispatcher = $2, since = now() WHERE term <= $1 RETURNING term",
            term,
            dispatcher,
        )
        if not raised:
            raise TermOver(f"term {term} is over")

    @asynccontextmanager
    async def duty(self, term: int) -> AsyncIterator[Connection]:
        """A transaction that holds the term: check and commit cannot straddle a takeover."""
        async with self._database.transaction() as connection:
            if not await connection.fetch("SELECT 1 FROM taskyard.leader WHERE term = $1 FOR SHARE", term):
                raise TermOver(f"term {term} is over")
            yield connection

    async def lane_epoch(self) -> str:
        """The lanes' epoch for which all QUEUED tasks were last published."""
        return str((await self._database.fetch("SELECT lane_epoch FROM taskyard.leader"))[0][0])
