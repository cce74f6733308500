"""Writes of duties: they commit under the leader's term or not at all."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from taskyard_core.runtime import failpoints
from taskyard_core.storage.leader import LeaderFence
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.leadership import Term

Result = TypeVar("Result")


class Fenced:
    """Transactions that hold the leader's term. Both methods raise TermOver and StoreUnavailable."""

    def __init__(self, fence: LeaderFence, duty: str) -> None:
        self._fence = fence
        self._place = f"duty-{duty}"

    async def write(self, term: Term, change: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Make a change in a transaction of its own; again as a whole where the store has undone it."""

        async def once() -> Result:
            async with self._fence.duty(term.number) as transaction:
                result = await change(transaction)
                await failpoints.reach(self._place)
                return result

        return await retried(once)

    async def check(self, term: Term) -> None:
        """Raise TermOver if a newer term has begun: before acts elsewhere, which no transaction fences."""
        async with self._fence.duty(term.number):
            await failpoints.reach(self._place)
