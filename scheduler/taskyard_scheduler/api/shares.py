"""A budget of bytes that callers share, so that no caller can use all of it up."""

from collections.abc import Callable

from taskyard_core.runtime.budget import Budget


class Shares:
    """At most `most` bytes spent at once, and at most `each` of them by one caller.

    Who asks for more than its own share waits for itself, not in the line of the others. `crowded` is called before
    somebody waits in that line.
    """

    def __init__(self, most: int, each: int, crowded: Callable[[], None]) -> None:
        self._all = Budget(most)
        self._each = each
        self._crowded = crowded
        self._shares: dict[str, Budget] = {}

    @property
    def spent(self) -> int:
        """Bytes under way, of all callers."""
        return self._all.spent

    @property
    def callers(self) -> int:
        """How many callers have bytes under way."""
        return len(self._shares)

    def fits(self, size: int) -> bool:
        """Whether anybody could spend that much without waiting in the line."""
        return self._all.allows(size)

    def take(self, who: str, size: int) -> bool:
        """Spend that much of the caller if that needs no waiting, and say whether it did; see `give_back`."""
        share = self._shares.get(who)
        if not self._all.allows(size) or (share is not None and not share.allows(size)):
            return False
        self._all.take(size)
        if share is None:
            share = self._shares[who] = Budget(self._each)
        share.take(size)
        return True

    async def spend(self, who: str, size: int) -> None:
        """Wait until the caller may spend that much; give it back with `give_back`."""
        share = self._shares.setdefault(who, Budget(self._each))
        await share.spend(size)
        try:
            if not self._all.allows(size):
                self._crowded()
            await self._all.spend(size)
        except BaseException:
            self._return(who, share, size)
            raise

    def overdraw(self, who: str, size: int) -> None:
        """More of what the caller has under way turned out to be there; others wait until it is back."""
        self._all.overdraw(size)
        self._shares[who].overdraw(size)

    def give_back(self, who: str, size: int) -> None:
        """These bytes of the caller are no longer under way."""
        self._all.give_back(size)
        self._return(who, self._shares[who], size)

    def _return(self, who: str, share: Budget, size: int) -> None:
        share.give_back(size)
        # Where nothing is spent nobody waits either.
        if not share.spent:
            self._shares.pop(who, None)
