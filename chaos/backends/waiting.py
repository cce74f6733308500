"""Waiting for what can only be looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

LOOK_EVERY_SECONDS = 0.05
LOOK_FOR_PARTS_EVERY_SECONDS = 0.1


class StillMissing(TimeoutError):
    """Something did not come in time; `names` says what."""

    def __init__(self, names: Sequence[str], timeout: float) -> None:
        super().__init__(f"not whole after {timeout:g} s: {', '.join(names)}")
        self.names = names


async def until(look: Callable[[], Awaitable[bool]], *, every: float = LOOK_EVERY_SECONDS) -> None:
    """Returns as soon as `look` is true; bound it with asyncio.timeout."""
    while True:
        if await look():
            return
        await asyncio.sleep(every)


async def until_whole(missing: Callable[[], Awaitable[Sequence[str]]], timeout: float) -> None:
    """Returns as soon as nothing is missing. Raises StillMissing with what was, the last time that one looked."""
    seen: Sequence[str] = ("everything",)

    async def is_whole() -> bool:
        nonlocal seen
        seen = await missing()
        return not seen

    try:
        async with asyncio.timeout(timeout):
            await until(is_whole, every=LOOK_FOR_PARTS_EVERY_SECONDS)
    except TimeoutError:
        raise StillMissing(seen, timeout) from None
