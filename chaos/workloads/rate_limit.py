"""So many a second, in batches, without making up later for what an outage cost."""

import asyncio
from collections.abc import Awaitable, Callable


class RateLimit:
    """At most `rate` a second. `clock` is monotonic seconds."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float],
        batch: int = 500,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        # Half a second's worth at once: a call for each task would take more of the machine than the tasks do.
        self.batch = max(1, min(batch, round(rate / 2)))
        self._interval = self.batch / rate
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    async def turn(self) -> None:
        """Waits until the next batch may go."""
        now = self._clock()
        if self._next > now:
            await self._sleep(self._next - now)
        self._next = max(self._next, now - self._interval) + self._interval
