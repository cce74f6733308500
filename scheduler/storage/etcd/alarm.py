"""Waiting for a moment that may be brought forward."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """For one sleeper at a time; moments are seconds of `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moment = float("inf")
        self._rung = asyncio.Event()

    async def wait(self, moment: float) -> None:
        """Return at `moment`, or sooner when rung from now on."""
        self._moment = moment
        self._rung.clear()
        try:
            async with asyncio.timeout(None if moment == float("inf") else moment - self._clock()):
                await self._rung.wait()
        except TimeoutError:
            return

    def ring(self, moment: float = float("-inf")) -> None:
        """Wake the sleeper, unless it would be awake at `moment` anyway."""
        if moment < self._moment:
            self._rung.set()
