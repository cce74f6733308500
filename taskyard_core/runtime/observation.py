"""Figures that metrics show: read from a store now and then, and kept for the scrapes in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from taskyard_core.runtime import pace
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

Reading = TypeVar("Reading")

Ping = Callable[[], Awaitable[object]]
"""Asks a store for a sign of life; raises StoreUnavailable."""

HEALTH_INTERVAL = 2.0
"""Seconds between questions whether the stores are of use."""


class Observation(Generic[Reading]):
    """The last reading, of each `interval` seconds; while the store is away, the one to show then.

    After each it rests `rest` times as long as it took.
    """

    def __init__(
        self, read: Callable[[], Awaitable[Reading]], unknown: Reading, clock: Clock, interval: float, *, rest: int = 0
    ) -> None:
        self._read = read
        self._unknown = unknown
        self._clock = clock
        self._interval = interval
        self._rest = rest
        self.last = unknown

    async def run(self) -> None:
        """Read in every interval, or more seldom where it takes long."""
        while True:
            began = self._clock.monotonic()
            await self.run_once()
            await self._clock.sleep(pace.rest(self._clock.monotonic() - began, self._rest, least=self._interval))

    async def run_once(self) -> None:
        """Read once."""
        try:
            self.last = await self._read()
        except StoreUnavailable as error:
            _log.debug("not observed: %s", error)
            self.last = self._unknown


class StoreHealth:
    """Whether each store is of use: asked now and then, shown by metrics, and told by the log where that changes."""

    def __init__(self, postgres: Ping, redis: Ping, etcd: Ping, clock: Clock) -> None:
        self._pings = {"postgres": postgres, "redis": redis, "etcd": etcd}
        self._clock = clock
        self._said: dict[str, str | None] = {}

    @property
    def up(self) -> Mapping[str, bool]:
        """By store, once it was asked."""
        return {store: said is None for store, said in self._said.items()}

    async def run(self) -> None:
        """Ask every HEALTH_INTERVAL."""
        while True:
            await self.run_once()
            await self._clock.sleep(HEALTH_INTERVAL)

    async def run_once(self) -> None:
        """Ask all of them once; one that hangs does not hold up what the others say."""
        await asyncio.gather(*(self._ask(store, ping) for store, ping in self._pings.items()))

    async def _ask(self, store: str, ping: Ping) -> None:
        said: str | None = None
        try:
            await ping()
        except StoreUnavailable as error:
            said = str(error)
        before, self._said[store] = self._said.get(store), said
        if said is not None and said != before:
            _log.warning("waiting for %s: %s", store, said)
        elif said is None and before is not None:
            _log.info("%s is of use again", store)
