"""Waiting for what must become true."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")


async def eventually(look: Callable[[], Awaitable[Seen | None]], *, within: float, every: float = 0.05) -> Seen:
    """What `look` finds as soon as that is true; AssertionError with what it saw last after `within` seconds."""
    deadline = time.monotonic() + within
    while not (seen := await look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {getattr(look, '__qualname__', look)}, last seen {seen!r}")
        await asyncio.sleep(every)
    return seen
