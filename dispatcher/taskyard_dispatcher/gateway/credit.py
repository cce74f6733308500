"""What a worker may send that is of no use: some at once, a little all the time, and no more."""

from enum import Enum

from taskyard_core.runtime.token_bucket import TokenBucket


class Manners(Enum):
    """What is to be done with a stream."""

    GOOD = "read on"
    SHORT = "let it wait"
    NONE = "end it"


class Credit:
    """A worker's share of frames without results, and of reports on what it doesn't hold: after lost acks and lost
    attempts both come from honest workers, but never more than these have slots.

    Credit flows back with time. Who has used it up is read more slowly, and who goes on as if nothing were, no more.
    """

    def __init__(self, most: int, per_second: float, now: float) -> None:
        self._most = most
        self._bucket = TokenBucket(most, per_second, now)

    def take(self, amount: float, now: float) -> Manners:
        """Spend some of it."""
        left = self._bucket.take(amount, now)
        if left >= 0:
            return Manners.GOOD
        return Manners.SHORT if left >= -self._most else Manners.NONE
