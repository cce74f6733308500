"""The fence of the leader's duties: one row that knows the newest term."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import ONLY, LeaderRow
from simulation.memory.postgres.transaction import Transaction
from simulation.memory.postgres.work import Work
from taskyard_core.storage.term import TermOver


class LeaderFence:
    """See taskyard_core.storage.leader."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def newest(self) -> int:
        """The newest term that has begun."""
        return await self._client.run(lambda work: _row(work).term)

    async def led_by(self, within: float) -> str | None:
        """The dispatcher that wrote within so many seconds that it leads the newest term."""
        return await self._client.run(lambda work: _led_by(work, within))

    async def begin(self, term: int, dispatcher: str) -> None:
        """Record a new term; raises TermOver if it, or a newer one, is another dispatcher's.

        Waits for the duties that hold the former one.
        """
        await self._client.run(lambda work: _begin(work, term, dispatcher))

    @asynccontextmanager
    async def duty(self, term: int) -> AsyncIterator[Transaction]:
        """A transaction that holds the term: check and commit cannot straddle a takeover."""
        async with self._client.transaction() as opened:
            await opened.run(lambda work: _hold(work, term))
            yield Transaction(opened)

    async def lane_epoch(self) -> str:
        """The lanes' epoch for which all QUEUED tasks were last published."""
        return await self._client.run(lambda work: _row(work).lane_epoch)


def _row(work: Work) -> LeaderRow:
    return work.get(work.tables.leader, ONLY) or LeaderRow()


def _led_by(work: Work, within: float) -> str | None:
    row = _row(work)
    leader = work.get(work.tables.dispatchers, row.dispatcher)
    if leader is None or leader.note.leading != row.term or leader.seen_at <= work.time - within:
        return None
    return leader.note.id


def _begin(work: Work, term: int, dispatcher: str) -> None:
    row = _row(work)
    if row.term > term or (row.term == term and row.dispatcher != dispatcher):
        raise TermOver(f"term {term} is over")
    work.lock(work.tables.leader, ONLY)
    work.put(work.tables.leader, ONLY, row._replace(term=term, dispatcher=dispatcher))


def _hold(work: Work, term: int) -> None:
    if _row(work).term != term:
        raise TermOver(f"term {term} is over")
    work.lock(work.tables.leader, ONLY, share=True)
    work.term = term
