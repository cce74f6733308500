"""Waiting for a moment that may be brought forward."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_NEVER = float("inf")


class Alarm:
    """For one sleeper at a time; moments are seconds of `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moment = _NEVER
        self._rung: asyncio.Future[None] | None = None

    async def wait(self, moment: float) -> None:
        """Return at `moment`, or sooner when rung from now on."""
        loop = asyncio.get_running_loop()
        self._moment, self._rung = moment, loop.create_future()
        timer = None if moment == _NEVER else loop.call_later(moment - self._clock(), self._wake)
        try:
            await self._rung
        finally:
            if timer is not None:
                timer.cancel()

    def ring(self, moment: float = -_NEVER) -> None:
        """Wake the sleeper, unless it would be awake at `moment` anyway."""
        if moment < self._moment:
            self._wake()

    def _wake(self) -> None:
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)
