"""A connection on which the server speaks when it likes."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from simulation.memory.link import Link

Item = TypeVar("Item")


class Pipe(Generic[Item]):
    """What a server has sent to one client, in order. The link stands between sending and reading."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sent = deque[Item]()
        self._received = deque[Item]()
        self._broken: Exception | None = None
        self._news = asyncio.Event()

    def send(self, item: Item) -> None:
        """The server sends."""
        self._sent.append(item)
        self._news.set()

    def hang_up(self, error: Exception) -> None:
        """The server ends the connection; what is under way is lost."""
        self._sent.clear()
        self._broken = error
        self._news.set()

    def check(self) -> None:
        """Raises what the server hung up with, if it has."""
        if self._broken is not None:
            raise self._broken

    async def read(self) -> Item:
        """The next item. Loses nothing when it is cancelled; raises what the server or the link failed with."""
        while not self._received:
            await self._news.wait()
            # All that is there, in one go: messages on a slow link overlap.
            arrived = await self._link.call(self._arriving)
            # None are left if the server has hung up meanwhile.
            for _ in range(min(len(arrived), len(self._sent))):
                self._sent.popleft()
            self._received += arrived
            if not self._sent and self._broken is None:
                self._news.clear()
        return self._received.popleft()

    def _arriving(self) -> tuple[Item, ...]:
        self.check()
        return tuple(self._sent)
