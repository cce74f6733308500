"""Bytes under way through a scheduler's API, in both directions and over both transports: bounded before the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.api import failures
from scheduler.domain import limits
from scheduler.shares import Shares

_PATIENCE_SECONDS = 10.0
"""How long a caller waits for its turn before it is sent away with a time to try again."""
_HURRIED_SECONDS = 2.0
"""How long others take once somebody waits for them."""


class Direction:
    """Bytes that come in, or bytes that go out. A slow client has as long as `patient` while nobody waits for it."""

    def __init__(self, most: int, each: int, patient: float) -> None:
        self._patient = patient
        self._slow: dict[asyncio.Timeout, float] = {}
        self._shares = Shares(most, each, self._hurry)

    @property
    def spent(self) -> int:
        """Bytes under way."""
        return self._shares.spent

    @property
    def callers(self) -> int:
        """Who has bytes under way."""
        return self._shares.callers

    async def spend(self, who: str, size: int) -> None:
        """Take room for so many bytes of the caller, in its turn; raises Failure when it takes too long."""
        if self._shares.allows(who, size):
            await self._shares.spend(who, size)
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._shares.spend(who, size)
        except TimeoutError:
            raise failures.too_many("too much is under way here at once") from None

    def resize(self, who: str, size: int, to: int) -> None:
        """What the caller took room for has another size than it seemed."""
        if to > size:
            self._shares.overdraw(who, to - size)
        else:
            self._shares.give_back(who, size - to)

    def give_back(self, who: str, size: int) -> None:
        """The bytes are no longer under way."""
        self._shares.give_back(who, size)

    @asynccontextmanager
    async def room(self, who: str, size: int) -> AsyncIterator[None]:
        """Room for so many bytes of the caller, for as long as the block runs."""
        await self.spend(who, size)
        try:
            yield
        finally:
            self.give_back(who, size)

    @asynccontextmanager
    async def moving(self, what: str) -> AsyncIterator[None]:
        """The block waits for a client, which may be slow; raises Failure when it is too slow."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patient if self._shares.fits(1) else _HURRIED_SECONDS) as limit:
                self._slow[limit] = loop.time()
                try:
                    yield
                finally:
                    del self._slow[limit]
        except TimeoutError:
            raise failures.too_many(what) from None

    def _hurry(self) -> None:
        for limit, began in self._slow.items():
            end = limit.when()
            if end is not None and end > began + _HURRIED_SECONDS and not limit.expired():
                limit.reschedule(began + _HURRIED_SECONDS)


class Traffic:
    """Both directions of one scheduler."""

    def __init__(self) -> None:
        self.arriving = Direction(limits.ARRIVING_BYTES, limits.ARRIVING_BYTES_EACH, limits.BODY_SECONDS)
        self.leaving = Direction(limits.LEAVING_BYTES, limits.LEAVING_BYTES_EACH, limits.SENDING_SECONDS)
