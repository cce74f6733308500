"""Work that nobody hurries for, kept to a part of the time while many ask for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pace:
    """Lets `parallel` blocks run at once. While others wait, each place rests `rest` times as long as it was used.

    So a lone caller is never held up, and a crowd uses 1 / (1 + rest) of what it could. Time that passes because the
    machine is busy counts as use: the busier it is, the longer the rests.
    """

    def __init__(self, parallel: int, rest: float) -> None:
        self._places = asyncio.Semaphore(parallel)
        self._rest = rest
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, patience: float) -> AsyncIterator[None]:
        """A place, for as long as the block runs; raises TimeoutError where none is free within so many seconds."""
        self._waiting += 1
        try:
            async with asyncio.timeout(patience):
                await self._places.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            if self._waiting:
                loop.call_later(self._rest * (loop.time() - began), self._places.release)
            else:
                self._places.release()
