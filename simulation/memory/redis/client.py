"""What one process has of the server."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from simulation.memory.link import Link
from simulation.memory.redis.server import RedisServer
from taskyard_core.storage.unavailable import StoreUnavailable

Answer = TypeVar("Answer")


class RedisClient:
    """Sends commands over a link; `timeout` is in seconds, None leaves it to the link to give up."""

    def __init__(self, server: RedisServer, link: Link, timeout: float | None) -> None:
        self.server = server
        self.link = link
        self._timeout = timeout

    async def call(self, operation: Callable[[], Answer]) -> Answer:
        """What the server answers. Raises StoreUnavailable."""
        if self._timeout is None:
            return await self.link.call(operation)
        try:
            async with asyncio.timeout(self._timeout):
                return await self.link.call(operation)
        except TimeoutError as error:
            raise StoreUnavailable("redis", f"no answer within {self._timeout:g} s") from error
