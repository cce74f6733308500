"""What one process has of the cluster."""

import asyncio
import math
from collections.abc import Callable
from typing import TypeVar

from simulation.memory.etcd.server import EtcdServer
from simulation.memory.link import Link
from taskyard_core.storage.etcd.errors import EtcdUnavailable

Answer = TypeVar("Answer")

PLACE = "memory"
"""The one member."""


class EtcdClient:
    """Sends requests over a link; `patience` is in seconds, infinite leaves it to the link to give up."""

    def __init__(self, server: EtcdServer, link: Link, patience: float) -> None:
        self.server = server
        self.link = link
        self._patience = patience

    async def call(self, operation: Callable[[], Answer], timeout: float | None = None) -> Answer:
        """What the cluster answers within `timeout` seconds. Raises EtcdError."""
        limit = self._patience if timeout is None else timeout
        if limit == math.inf:
            return await self.link.call(operation)
        try:
            async with asyncio.timeout(limit):
                return await self.link.call(operation)
        except TimeoutError as error:
            raise EtcdUnavailable(f"no answer within {limit:g} s") from error
