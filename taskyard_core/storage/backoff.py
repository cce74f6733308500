"""How long to wait before trying a store again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential delays with full jitter, in seconds, so that a herd does not return together."""

    def __init__(
        self,
        *,
        first: float = 0.1,
        longest: float = 2.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._longest = longest
        self._draw = draw
        self._failures = 0

    def next(self) -> float:
        """Return the delay after one more failure; never less than half of `first`."""
        ceiling = min(self._longest, self._first * 2 ** min(self._failures, 16))
        self._failures += 1
        return self._draw(self._first / 2, ceiling)

    def reset(self) -> None:
        """Forget past failures after a success."""
        self._failures = 0
