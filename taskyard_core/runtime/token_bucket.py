"""A token bucket: some at once, a little all the time, and no more."""


class TokenBucket:
    """Tokens that come back with time. More may be taken than there are: these are owed, and the wait is the longer.

    Times are seconds of a monotonic clock, passed in by the caller.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        """Full: `burst` tokens, of which `rate` a second come back."""
        self._burst = burst
        self._rate = rate
        self._left = float(burst)
        self._at = now

    def left(self, now: float) -> float:
        """Tokens that are there; below zero, those that are owed."""
        return min(self._burst, self._left + (now - self._at) * self._rate)

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        return max(0.0, (1.0 - self.left(now)) / self._rate)

    def take(self, amount: float, now: float) -> float:
        """Take tokens; returns what is left."""
        self._left, self._at = self.left(now) - amount, now
        return self._left
