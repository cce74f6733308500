"""Waiting for what can only be looked at."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY_SECONDS = 0.05


async def until(look: Callable[[], Awaitable[bool]], *, every: float = LOOK_EVERY_SECONDS) -> None:
    """Returns as soon as `look` is true; bound it with asyncio.timeout."""
    while True:
        if await look():
            return
        await asyncio.sleep(every)
