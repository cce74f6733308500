"""Whether this process should be sent requests."""

import asyncio
from collections.abc import Awaitable, Callable

from scheduler.storage.unavailable import StoreUnavailable

_PATIENCE_SECONDS = 1.0


class Readiness:
    """Ready while Postgres answers and nobody has asked the process to end. Redis and etcd may be away.

    `foreign` tells which stores are another cluster's.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]], foreign: Callable[[], str | None] = lambda: None) -> None:
        self._ping = ping
        self._foreign = foreign
        self._draining = False

    def drain(self) -> None:
        """From now on not ready."""
        self._draining = True

    async def obstacle(self) -> str | None:
        """Why it is not ready, None if it is; known within a second."""
        if self._draining:
            return "shutting down"
        if foreign := self._foreign():
            return foreign
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._ping()
        except StoreUnavailable as error:
            return str(error)
        except TimeoutError:
            return f"postgres has not answered within {_PATIENCE_SECONDS:g} s"
        return None
