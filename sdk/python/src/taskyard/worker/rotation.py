"""Which dispatcher to try next, and how long to wait before it."""

import random
from collections.abc import Sequence

BACKOFF_FIRST = 0.05
BACKOFF_MAX = 2.0


class Rotation:
    """Walks over the addresses from a random start, so that workers spread.

    After a stream that worked, every address is tried once without delay; from then on tries are spaced by an
    exponential backoff with jitter, 50 ms to 2 s, until a stream works again. A stream that was welcomed and soon
    broke counts as one that worked, but only once in a row: a dispatcher that breaks all streams is not besieged.
    """

    def __init__(self, addresses: Sequence[str], rng: random.Random | None = None) -> None:
        if not addresses:
            raise ValueError("at least one dispatcher address is needed")
        self._rng = rng or random.Random()
        self._addresses = list(addresses)
        self._rng.shuffle(self._addresses)
        self.addresses = frozenset(addresses)
        """All that there are."""
        self._index = -1
        self._tries = 0
        self._spared = False

    def worked(self) -> None:
        """The last address gave a working stream."""
        self._tries = 0
        self._spared = False

    def broke_early(self) -> None:
        """The last address welcomed the worker, and soon after that the stream broke."""
        if not self._spared:
            self._tries = 0
            self._spared = True

    def following(self) -> tuple[str, float]:
        """The next address and the seconds to wait before connecting to it."""
        self._index = (self._index + 1) % len(self._addresses)
        delay = self._delay(self._tries - len(self._addresses))
        self._tries += 1
        return self._addresses[self._index], delay

    def _delay(self, failures: int) -> float:
        if failures < 0:
            return 0.0
        ceiling = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(failures, 10))
        return ceiling * self._rng.uniform(0.5, 1.0)
