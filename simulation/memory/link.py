"""How one process reaches a store in memory."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Link(Protocol):
    """What stands between a client and its server; a simulation gives one that is slow or fails."""

    async def call(self, operation: Callable[[], Answer]) -> Answer:
        """Have the server do the operation, all of it at one moment, and bring back what came of it.

        May raise the store's error for being away, before or after the operation took effect, or never return.
        """


class Direct:
    """No distance at all; but others may run meanwhile, as with every call that leaves a process."""

    async def call(self, operation: Callable[[], Answer]) -> Answer:
        """See Link."""
        await asyncio.sleep(0)
        return operation()
