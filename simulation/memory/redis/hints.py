"""Hints in memory."""

import asyncio
from collections.abc import Sequence
from typing import Self

from simulation.memory.pipe import Pipe
from simulation.memory.redis.client import RedisClient
from taskyard_core.storage.hints import CancelRequested, Message, TasksFinished


class MemoryHints:
    """See taskyard_core.storage.hints.Hints."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        """Tells the schedulers which tasks became terminal."""
        if ids:
            await self._give(TasksFinished.of(ids))

    async def cancel_requested(self, ids: Sequence[str]) -> None:
        """Tells the dispatchers which running tasks should be cancelled."""
        if ids:
            await self._give(CancelRequested(tuple(ids)))

    async def _give(self, message: Message) -> None:
        await self._client.call(lambda: self._client.server.hint(message))


class MemorySubscription:
    """See taskyard_core.storage.hint_stream.Subscription."""

    def __init__(self, client: RedisClient, quiet: float) -> None:
        self._client = client
        self._quiet = quiet
        self._pipe = Pipe[Message](client.link)

    @classmethod
    async def open(cls, client: RedisClient, kinds: tuple[type[Message], ...], quiet: float) -> Self:
        """Subscribes; after `quiet` seconds without a message the server is asked whether it is there."""
        subscription = cls(client, quiet)
        try:
            await client.call(lambda: client.server.listen(client, subscription._pipe, kinds))
        except BaseException:
            await subscription.aclose()
            raise
        return subscription

    async def next(self) -> Message:
        """The next message; may be cancelled and called again. Raises StoreUnavailable when the connection is lost."""
        while True:
            try:
                async with asyncio.timeout(self._quiet):
                    return await self._pipe.read()
            except TimeoutError:
                await self._client.call(self._pipe.check)

    async def aclose(self) -> None:
        """Closes the connection."""
        self._client.server.hang_up(self._pipe)
