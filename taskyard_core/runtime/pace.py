"""Work that nobody hurries for, kept to a part of the time while many ask for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

COUNTING = 20
"""What counts rests so many times as long as it took: at most a twentieth of the time goes into it."""
LONGEST = 0.5
"""Seconds that a place rests at most: what is slow once, or waited for a store that was away, holds up nobody."""


def rest(took: float, times: float, *, least: float = 0.0) -> float:
    """Seconds to rest after work that took so many, for it to get 1 / (1 + times) of the time."""
    return max(least, times * took)


class Pace:
    """Lets `parallel` blocks run at once. While others wait, each place rests `rest` times as long as it was used.

    So a lone caller is not held up, and a crowd uses 1 / (1 + rest) of what it could. Time that passes because the
    machine is busy counts as use: the busier it is, the longer the rests, up to `LONGEST`. They end with the crowd.
    """

    def __init__(self, parallel: int, rest: float) -> None:
        self._places = asyncio.Semaphore(parallel)
        self._rest = rest
        self._waiting = 0
        self._resting: set[asyncio.TimerHandle] = set()

    @asynccontextmanager
    async def turn(self, patience: float) -> AsyncIterator[None]:
        """A place, for as long as the block runs; raises TimeoutError where none is free within so many seconds."""
        self._waiting += 1
        try:
            async with asyncio.timeout(patience):
                await self._places.acquire()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wake()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            if self._waiting:
                self._lay_down(min(LONGEST, rest(loop.time() - began, self._rest)))
            else:
                self._places.release()

    def _lay_down(self, seconds: float) -> None:
        def rise() -> None:
            self._resting.discard(timer)
            self._places.release()

        timer = asyncio.get_running_loop().call_later(seconds, rise)
        self._resting.add(timer)

    def _wake(self) -> None:
        for timer in self._resting:
            timer.cancel()
            self._places.release()
        self._resting.clear()
