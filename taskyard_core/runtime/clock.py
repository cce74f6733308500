"""Time, injected, so that tests and simulations can move it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What loops and deadlines look at."""

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring spans."""

    def time(self) -> float:
        """Seconds since the epoch; for showing."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def time(self) -> float:
        """See Clock."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)
