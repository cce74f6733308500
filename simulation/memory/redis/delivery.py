"""Redis in memory as one process reaches it."""

import random
from collections.abc import Callable

from simulation.memory.link import Direct, Link
from simulation.memory.redis.client import RedisClient
from simulation.memory.redis.epoch import MemoryEpoch
from simulation.memory.redis.hints import MemoryHints, MemorySubscription
from simulation.memory.redis.lanes import MemoryLanes
from simulation.memory.redis.server import RedisServer
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import Message


class MemoryDelivery:
    """See taskyard_core.storage.delivery.Delivery; times in seconds, the defaults are those of the client of Redis."""

    def __init__(
        self,
        server: RedisServer,
        link: Link | None = None,
        *,
        timeout: float | None = 2.0,
        quiet: float = 5.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._client = RedisClient(server, link or Direct(), timeout)
        self._quiet = quiet
        self._draw = draw
        self.lanes = MemoryLanes(self._client)
        self.epoch = MemoryEpoch(self._client)
        self.hints = MemoryHints(self._client)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the server answers."""
        await self.epoch.current()

    def listen(self, *kinds: type[Message]) -> HintStream:
        """What others tell, of these kinds."""
        return HintStream(lambda: MemorySubscription.open(self._client, kinds, self._quiet), draw=self._draw)

    def close(self) -> None:
        """End every connection, as the process's death does."""
        self._client.server.leave(self._client)
