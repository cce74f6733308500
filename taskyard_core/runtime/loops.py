"""What runs for as long as its process does, whatever it runs into."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.backoff import Backoff

_log = logging.getLogger(__name__)

Loop = Callable[[], Coroutine[Any, Any, Any]]
"""Begins a run of the loop; may be called again once that has failed."""

STEADY = 10.0
"""Seconds that a loop has to run before its last failure counts as over."""


class Loops:
    """Begins a loop again that failed in a way that nobody foresaw.

    The process goes on: whatever made the loop fail would soon fail it in the next process as well, and in all of them
    at once, while everything else that this one does is of use. Until the loop is steady again the process says that it
    is not ready.
    """

    def __init__(self, background: Background, clock: Clock) -> None:
        self._background = background
        self._clock = clock
        self.failures = 0
        """How often any of them failed."""
        self._failed: dict[Loop, tuple[float, str]] = {}

    def start(self, *loops: Loop) -> None:
        """Run them from now on, until the background is cancelled."""
        for loop in loops:
            self._background.start(self._run(loop))

    def obstacle(self) -> str | None:
        """Why the process should get nothing to do; None while all loops run."""
        now = self._clock.monotonic()
        return next((what for moment, what in self._failed.values() if now < moment + STEADY), None)

    async def _run(self, loop: Loop) -> None:
        backoff = Backoff(first=0.5, longest=STEADY)
        while True:
            begun = self._clock.monotonic()
            try:
                await loop()
            except Exception as error:
                _log.exception("%s failed, and is begun again: %r", _name(loop), error)
                self.failures += 1
                now = self._clock.monotonic()
                if now - begun > STEADY:
                    backoff.reset()
                pause = backoff.next()
                self._failed[loop] = (now + pause, f"{_name(loop)} failed: {type(error).__name__}")
                await self._clock.sleep(pause)
            else:
                return


def _name(loop: Loop) -> str:
    return getattr(loop, "__qualname__", "a loop")
