"""Streams of one process to etcd in memory."""

import asyncio
from collections import deque
from functools import partial
from typing import Self

from simulation.memory.etcd.client import PLACE, EtcdClient
from simulation.memory.etcd.server import Told
from simulation.memory.pipe import Pipe
from taskyard_core.storage.etcd.access import Event, Granted


class MemoryChangeStream:
    """See taskyard_core.storage.etcd.access.ChangeStream."""

    place = PLACE

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._pipe = Pipe[Told](client.link)

    @classmethod
    async def open(cls, client: EtcdClient, prefix: str, start: int) -> Self:
        """Begin to watch."""
        stream = cls(client)
        try:
            await client.call(partial(client.server.watch, client, prefix, start, stream._pipe))
        except BaseException:
            await stream.close()
            raise
        return stream

    async def read(self, *, timeout: float) -> tuple[Event, ...] | None:
        """Return what comes next, or None after `timeout` seconds of silence."""
        try:
            async with asyncio.timeout(timeout):
                return await self._pipe.read()
        except TimeoutError:
            return None

    async def ask_progress(self) -> None:
        """Have the cluster give a sign of life."""
        await self._client.call(partial(self._client.server.progress, self._pipe))

    async def close(self) -> None:
        """End the watch."""
        self._client.server.hang_up(self._pipe)


class MemoryKeepAlive:
    """See taskyard_core.storage.etcd.access.KeepAlive."""

    place = PLACE

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._asked = deque[int]()
        self._answers = deque[Granted]()
        self._news = asyncio.Event()

    async def ask(self, lease_id: int, *, timeout: float) -> None:
        """Ask for a renewal."""
        self._asked.append(lease_id)
        self._news.set()

    async def read(self) -> Granted:
        """Return the next answer."""
        while not self._answers:
            await self._news.wait()
            answers = await self._client.link.call(self._renewed)
            for _ in answers:
                self._asked.popleft()
            self._answers += answers
            if not self._asked:
                self._news.clear()
        return self._answers.popleft()

    def _renewed(self) -> list[Granted]:
        return [self._client.server.keep_alive(lease_id) for lease_id in self._asked]

    async def close(self) -> None:
        """Nothing is left to end."""
