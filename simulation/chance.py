"""Time and chance, all of which come from the loop and the seed."""

import asyncio
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import uuid_utils

from simulation.loop import VirtualLoop

EPOCH = 1_800_000_000.0
"""When all schedules begin, in seconds since 1970."""


class VirtualClock:
    """See taskyard_core.runtime.clock.Clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = loop.time
        self._loop = loop

    def time(self) -> float:
        """See Clock."""
        return EPOCH + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


@contextmanager
def seeded(seed: int, loop: VirtualLoop) -> Iterator[None]:
    """Inside, whatever the server draws comes from the seed: ids, jitter, shuffles."""
    random.seed(seed)
    bits = random.getrandbits

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=(bits(128) & ~(0xF000 << 64) & ~(0xC000 << 48)) | (4 << 76) | (2 << 62))

    def uuid7() -> uuid.UUID:
        milliseconds = int((EPOCH + loop.time()) * 1000)
        return uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (bits(12) << 64) | (2 << 62) | bits(62))

    before = uuid.uuid4, uuid_utils.uuid7
    uuid.uuid4, uuid_utils.uuid7 = uuid4, uuid7  # type: ignore[assignment]
    try:
        yield
    finally:
        uuid.uuid4, uuid_utils.uuid7 = before
