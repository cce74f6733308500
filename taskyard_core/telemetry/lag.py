"""Is the event loop keeping up?"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

_WINDOW = 60.0
"""Seconds that `worst` looks back."""


class LagProbe:
    """Sleeps again and again and sees how late it wakes up; all times in seconds.

    The loop is live while the probe woke up less than `stalled` ago.
    """

    def __init__(
        self,
        interval: float = 0.5,
        stalled: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = interval
        self._stalled = stalled
        self._clock = clock
        self._sleep = sleep
        self._lags: deque[float] = deque([0.0], maxlen=max(1, round(_WINDOW / interval)))
        self._beat = clock()

    async def run(self) -> None:
        """Measure until cancelled."""
        self._beat = self._clock()
        while True:
            await self.run_once()

    async def run_once(self) -> None:
        """One sleep, one measurement."""
        due = self._clock() + self._interval
        await self._sleep(self._interval)
        self._beat = self._clock()
        self._lags.append(max(0.0, self._beat - due))

    def worst(self) -> float:
        """The longest lag in the last minute. Safe to call from another thread."""
        return max(list(self._lags))

    def live(self) -> bool:
        """Whether the loop is not stalled. From another thread it also sees a stall that lasts."""
        return self._clock() - self._beat < self._stalled
