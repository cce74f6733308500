"""The fence of the leader's duties: it knows the newest term."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from taskyard_core.storage.transaction import Transaction


class LeaderFence(Protocol):
    """Raises terms, and opens transactions that can only commit under the current one.

    Every method raises StoreUnavailable.
    """

    async def newest(self) -> int:
        """The newest term that has begun."""

    async def led_by(self, within: float) -> str | None:
        """The dispatcher that wrote within so many seconds that it leads the newest term."""

    async def begin(self, term: int, dispatcher: str) -> None:
        """Record a new term; raises TermOver if it, or a newer one, is another dispatcher's."""

    def duty(self, term: int) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that holds the term: check and commit cannot straddle a takeover. Raises TermOver."""

    async def lane_epoch(self) -> str:
        """The lanes' epoch for which all QUEUED tasks were last published."""
