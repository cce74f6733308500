"""How a server starts and stops: part by part, what others need first, and back again in the reverse order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.backoff import Backoff

_log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object]]
"""Done once it returns."""
Loop = Callable[[], Coroutine[Any, Any, Any]]
"""Begins a run of the loop; may be called again once that has failed."""

STEADY = 10.0
"""Seconds that a loop has to run before its last failure counts as over."""
GRACE = 10.0
"""Seconds that all parts together have to stop, beside what each is given."""
MOMENT = 0.5
"""Seconds that each has when others took all of that: what hangs on a store keeps nobody from leaving the others."""


@dataclass(frozen=True, slots=True)
class Part:
    """What starts and stops with a server, in any of three ways."""

    name: str
    start: Step | None = None
    """Returns once the part does its work; where it raises, the server does not start, and `stop` is not called."""
    run: Loop | None = None
    """Runs from `start` until after `stop`, when it is cancelled."""
    stop: Step | None = None
    """Returns once the part has nothing more to do. All that started after it has stopped by then."""
    patience: float = 0.0
    """Seconds that `stop` may take for what it waits for, beside the grace of all."""


class Service:
    """Parts of a server that have started.

    A loop that fails in a way that nobody foresaw is begun again, and the process goes on: whatever made the loop fail
    would soon fail it in the next process as well, and in all of them at once, while everything else that this one does
    is of use. Until the loop is steady again the process says that it is not ready.
    """

    def __init__(self, clock: Clock, grace: float = GRACE, moment: float = MOMENT) -> None:
        self._clock = clock
        self._grace = grace
        self._moment = moment
        self.failures = 0
        """How often any loop failed."""
        self._failed: dict[str, tuple[float, str]] = {}
        self._started: list[tuple[Part, asyncio.Task[None] | None]] = []
        self._stopping = asyncio.Lock()

    async def start(self, *parts: Part) -> None:
        """Start these after those that have; where one cannot, stop all of them and raise what it raised."""
        try:
            for part in parts:
                if part.start is not None:
                    await part.start()
                running = asyncio.create_task(self._run(part.name, part.run), name=part.name) if part.run else None
                self._started.append((part, running))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop what has started, the last first; returns when all have, or had their time. May be called again."""
        async with self._stopping:
            left = self._grace
            while self._started:
                part, running = self._started.pop()
                began = self._clock.monotonic()
                await self._end(part, running, part.patience + max(left, self._moment))
                left = max(0.0, left - max(0.0, self._clock.monotonic() - began - part.patience))

    def obstacle(self) -> str | None:
        """Why the process should get nothing to do; None while all loops run."""
        now = self._clock.monotonic()
        return next((what for moment, what in self._failed.values() if now < moment + STEADY), None)

    async def _end(self, part: Part, running: asyncio.Task[None] | None, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                try:
                    if part.stop is not None:
                        await part.stop()
                finally:
                    if running is not None:
                        running.cancel()
                if running is not None:
                    await asyncio.wait([running])
        except TimeoutError:
            _log.warning("%s has not stopped within %.1f s, and is left behind", part.name, seconds)
        except (Exception, asyncio.CancelledError):
            if (stopping := asyncio.current_task()) and stopping.cancelling():
                raise
            # The others are to end well all the same, also where it waited for something of its own that was cancelled.
            _log.exception("%s failed while it stopped", part.name)

    async def _run(self, name: str, loop: Loop) -> None:
        backoff = Backoff(first=0.5, longest=STEADY)
        while True:
            begun = self._clock.monotonic()
            try:
                await loop()
            except Exception as error:
                _log.exception("%s failed, and is begun again: %r", name, error)
                self.failures += 1
                now = self._clock.monotonic()
                if now - begun > STEADY:
                    backoff.reset()
                pause = backoff.next()
                self._failed[name] = (now + pause, f"{name} failed: {type(error).__name__}")
                await self._clock.sleep(pause)
            else:
                return
