"""Trying whole transactions again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from taskyard_core.storage.unavailable import NothingDone

Result = TypeVar("Result")

_TRIES = 12
"""More than a pool has connections, all of which an outage may have broken."""


async def _moment() -> None:
    await asyncio.sleep(random.uniform(0.001, 0.02))


async def retried(operation: Callable[[], Awaitable[Result]], pause: Callable[[], Awaitable[None]] = _moment) -> Result:
    """Run a whole transaction again where it is sure that it has done nothing: after a deadlock or conflict, say."""
    for _ in range(_TRIES - 1):
        try:
            return await operation()
        except NothingDone:
            await pause()
    return await operation()
