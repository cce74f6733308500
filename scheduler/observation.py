"""Figures that metrics show: read from a store now and then, and kept for the scrapes in between."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from scheduler.clock import Clock
from scheduler.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

Reading = TypeVar("Reading")

Ping = Callable[[], Awaitable[object]]
"""Asks a store for a sign of life; raises StoreUnavailable."""

INTERVAL = 5.0
"""Seconds between reads."""
REST_PER_READ = 20
"""What counts rests so many times as long as it took: at most a twentieth of the time goes into it."""


class Observation(Generic[Reading]):
    """The last reading; while the store is away, the one to show then. After each it rests `rest` times as long."""

    def __init__(
        self, read: Callable[[], Awaitable[Reading]], unknown: Reading, clock: Clock, *, rest: int = 0
    ) -> None:
        self._read = read
        self._unknown = unknown
        self._clock = clock
        self._rest = rest
        self.last = unknown

    async def run(self) -> None:
        """Read every INTERVAL, or more seldom where it takes long."""
        while True:
            began = self._clock.monotonic()
            await self.run_once()
            await self._clock.sleep(max(INTERVAL, self._rest * (self._clock.monotonic() - began)))

    async def run_once(self) -> None:
        """Read once."""
        try:
            self.last = await self._read()
        except StoreUnavailable as error:
            _log.debug("not observed: %s", error)
            self.last = self._unknown


async def reachable(pings: Mapping[str, Ping]) -> dict[str, bool]:
    """Which stores answer."""
    return {store: await _answers(ping) for store, ping in pings.items()}


async def _answers(ping: Ping) -> bool:
    try:
        await ping()
    except StoreUnavailable:
        return False
    return True
