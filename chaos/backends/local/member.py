"""A part's process, brought back whenever it ends, as a kubelet would."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping

from chaos.backends.cluster import CURRENT, Part, Role
from chaos.backends.local.process import Command, Process, ProcessFailed

logger = logging.getLogger(__name__)

# A process that lived this long was healthy: its end says nothing about the next start.
HEALTHY_SECONDS = 10.0
BACKOFF_SECONDS = {Role.WORKER: 0.2}
DEFAULT_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 5.0


def backoff(role: Role, early_ends: int) -> float:
    """Seconds before the next start, after so many ends in a row that came too early."""
    first = BACKOFF_SECONDS.get(role, DEFAULT_BACKOFF_SECONDS)
    return min(LONGEST_BACKOFF_SECONDS, first * 2.0 ** min(max(early_ends - 1, 0), 16))


class Member:
    """One part.

    `prepare` is asked for the command before each start and may do what has to be done first. `stop_signal` asks
    for an end in good order, which may take `grace` seconds; `last_signal` does when the cluster ends, too.
    `ended` is told the id of each process that has ended.
    """

    def __init__(
        self,
        name: str,
        role: Role,
        addresses: Mapping[str, str],
        prepare: Callable[["Member"], Awaitable[Command]],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        last_signal: signal.Signals | None = None,
        grace: float = 30.0,
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.role = role
        self.addresses = addresses
        self.environment: Mapping[str, str] = {}
        self.version = CURRENT
        self.frozen = False
        self._prepare = prepare
        self._stop_signal = stop_signal
        self._last_signal = last_signal or stop_signal
        self._grace = grace
        self._ended = ended
        self._process: Process | None = None
        self._released = asyncio.Event()
        self._released.set()
        self._prompt = False
        self._started = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def part(self) -> Part:
        """What others are told of it."""
        return Part(self.name, self.role, self.pid, self.addresses)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def process(self) -> Process:
        """The process of the last start."""
        if self._process is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._process

    async def start(self) -> None:
        """Starts it for the first time, and keeps it alive from now on."""
        await self._start()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def hold(self) -> None:
        """Lets it stay away once it ends."""
        self._released.clear()

    def release(self) -> None:
        """Ends `hold`."""
        self._released.set()

    def freeze(self) -> None:
        """Stops it where it stands, with all its descendants, also those that appear meanwhile."""
        self.frozen = True
        seen: set[int] = set()
        while fresh := [process for process in self.process.family() if process.pid not in seen]:
            self.process.send_to_family(signal.SIGSTOP)
            seen.update(process.pid for process in fresh)

    def thaw(self) -> None:
        """Lets it go on."""
        self.frozen = False
        self.process.send_to_family(signal.SIGCONT)

    async def end(self) -> None:
        """Kills it and waits until it has ended."""
        self.process.send_to_family(signal.SIGKILL)
        await self.process.wait()

    async def restart(self) -> None:
        """Ends it in good order; unless it is held, waits until it is started again."""
        self._started.clear()
        self._prompt = True
        await self.process.stop(self._stop_signal, self._grace)
        if self._released.is_set():
            await self._started.wait()

    async def close(self) -> None:
        """Ends it for good, in good order. Nothing is left of it, also when this is cancelled."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is None:
            return
        try:
            await self._process.stop(self._last_signal, min(self._grace, 10.0))
        finally:
            self._process.send_to_family(signal.SIGKILL)
            self._ended(self._process.number)

    async def _start(self) -> None:
        self._process = await Process.start(await self._prepare(self))
        self.frozen = False
        self._started.set()

    async def _keep(self) -> None:
        early_ends = 0
        while True:
            began = time.monotonic()
            code = await self.process.wait()
            self._ended(self.process.number)
            early_ends = early_ends + 1 if time.monotonic() - began < HEALTHY_SECONDS else 1
            logger.info("%s ended with %s", self.name, code)
            while not await self._try_again(early_ends):
                early_ends += 1

    async def _try_again(self, early_ends: int) -> bool:
        if self._prompt:
            self._prompt = False
        else:
            await asyncio.sleep(backoff(self.role, early_ends))
        await self._released.wait()
        try:
            await self._start()
        except (ProcessFailed, OSError) as error:
            logger.warning("%s could not be started: %s", self.name, error)
            return False
        return True
