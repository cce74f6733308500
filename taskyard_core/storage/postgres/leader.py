"""The fence of the leader's duties: one row that knows the newest term."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.transaction import STATEMENTS, Transaction
from taskyard_core.storage.term import TermOver


class LeaderFence:
    """The leader table; see taskyard_core.storage.leader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """The newest term that has begun."""
        return int((await self._database.fetch(load("newest_term")))[0][0])

    async def led_by(self, within: float) -> str | None:
        """The dispatcher that wrote within so many seconds that it leads the newest term."""
        found = await self._database.fetch(load("leads"), within)
        return str(found[0][0]) if found else None

    async def begin(self, term: int, dispatcher: str) -> None:
        """Record a new term; raises TermOver if it, or a newer one, is another dispatcher's."""
        if not await self._database.fetch(load("begin_term"), term, dispatcher):
            raise TermOver(f"term {term} is over")

    @asynccontextmanager
    async def duty(self, term: int) -> AsyncIterator[Transaction]:
        """A transaction that holds the term: check and commit cannot straddle a takeover."""
        async with self._database.transaction("hold_term", *STATEMENTS) as connection:
            if not await connection.fetch(load("hold_term"), term):
                raise TermOver(f"term {term} is over")
            yield Transaction(connection)

    async def lane_epoch(self) -> str:
        """The lanes' epoch for which all QUEUED tasks were last published."""
        return str((await self._database.fetch(load("lane_epoch")))[0][0])
