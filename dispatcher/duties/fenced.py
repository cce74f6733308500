"""Writes of duties: they commit under the leader's term or not at all."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dispatcher.leadership import Term
from scheduler import failpoints
from scheduler.storage.postgres.database import Connection, retried
from scheduler.storage.postgres.leader import LeaderFence

Result = TypeVar("Result")


class Fenced:
    """Transactions that hold the leader's row. Both methods raise TermOver (the fence's) and StoreUnavailable."""

    def __init__(self, fence: LeaderFence, duty: str) -> None:
        self._fence = fence
        self._place = f"duty-{duty}"

    async def write(self, term: Term, change: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Make a change in a transaction of its own; again as a whole where Postgres chose it as a victim."""

        async def once() -> Result:
            async with self._fence.duty(term.number) as connection:
                result = await change(connection)
                await failpoints.reach(self._place)
                return result

        return await retried(once)

    async def check(self, term: Term) -> None:
        """Raise TermOver if a newer term has begun: before acts outside Postgres, which no transaction can fence."""
        async with self._fence.duty(term.number):
            await failpoints.reach(self._place)
