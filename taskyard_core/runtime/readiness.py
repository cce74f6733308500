"""Whether this process should be sent requests."""

import asyncio
from collections.abc import Awaitable, Callable

from taskyard_core.storage.unavailable import StoreUnavailable

_PATIENCE_SECONDS = 1.0


class Readiness:
    """Ready while Postgres is of use, nothing else stands in the way and nobody has asked the process to end.

    Redis and etcd may be away, or refuse: what they are for is done without them meanwhile, if slower.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self._obstacles: list[Callable[[], str | None]] = []
        self._draining = False

    def drain(self) -> None:
        """From now on not ready."""
        self._draining = True

    def heed(self, obstacle: Callable[[], str | None]) -> None:
        """Not ready either while this tells why."""
        self._obstacles.append(obstacle)

    async def obstacle(self) -> str | None:
        """Why it is not ready, None if it is; known within a second."""
        if self._draining:
            return "shutting down"
        for look in self._obstacles:
            if obstacle := look():
                return obstacle
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._ping()
        except StoreUnavailable as error:
            return str(error)
        except TimeoutError:
            return f"postgres has not answered within {_PATIENCE_SECONDS:g} s"
        return None
