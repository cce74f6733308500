"""One process of the cluster that is kept alive: started again whenever it ends."""

import asyncio
import time
from collections.abc import Callable, Mapping

from taskyard_server.dev.occupant import OccupiedError
from taskyard_server.dev.process import Process, ProcessError, exit_text
from taskyard_server.dev.restart import HEALTHY_SECONDS, Restart
from taskyard_server.dev.store import Store

LOOK_EVERY_SECONDS = 0.05


class Member:
    """A store's server or a role's process, under a name of its own.

    `report` is told in one line what happened, `changed` is called whenever the pid is another or
    there is none any more. `grace` is how many seconds an orderly end may take.
    """

    def __init__(
        self,
        part: Store | Process,
        *,
        restart: Restart,
        report: Callable[[str], None],
        changed: Callable[[], None],
        grace: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.part = part
        self._restart = restart
        self._report = report
        self._changed = changed
        self._grace = grace
        self._clock = clock
        self._started_at = 0.0
        self._early_ends = 0
        self._due: float | None = None

    @property
    def name(self) -> str:
        """Unique in the cluster."""
        return self.part.role if isinstance(self.part, Store) else self.part.spec.name

    @property
    def role(self) -> str:
        """What kind of process it is."""
        return self.part.role if isinstance(self.part, Store) else self.part.spec.role

    @property
    def addresses(self) -> Mapping[str, str]:
        """What it can be reached by."""
        return self.part.addresses if isinstance(self.part, Store) else self.part.spec.addresses

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self.part.pid if self.part.running else None

    @property
    def process(self) -> Process:
        """The child of the last start."""
        return self.part.process if isinstance(self.part, Store) else self.part

    async def start(self) -> None:
        """Starts the process for the first time. Raises ProcessError, OccupiedError or OSError."""
        self._started_at = self._clock()
        if isinstance(self.part, Store):
            await self.part.start()
        else:
            self.part.start()
        self._changed()

    async def run_once(self) -> None:
        """Notices that the process ended, or starts it again when its time has come."""
        if self.part.running:
            return
        if self._due is None:
            self._note_end()
        elif self._clock() >= self._due:
            await self._start_again()

    async def run(self) -> None:
        """Keeps the process alive until cancelled."""
        while True:
            await self.run_once()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def stop(self) -> None:
        """Ends the process in good order, by force when it takes too long."""
        if isinstance(self.part, Store):
            await self.part.stop()
        else:
            await self.part.stop(grace=self._grace)

    def kill(self) -> None:
        """Ends the process at once."""
        self.part.kill()

    def _note_end(self) -> None:
        now = self._clock()
        self._early_ends = self._early_ends + 1 if now - self._started_at < HEALTHY_SECONDS else 1
        self._plan_start()
        self._changed()
        self._report(f"{self.name} ended {exit_text(self.process.exit_code)}, starts again{self._when(now)}")

    async def _start_again(self) -> None:
        try:
            await self.start()
        except (ProcessError, OccupiedError, OSError) as error:
            self._early_ends += 1
            self._plan_start()
            self._report(f"{self.name} could not be started, tries again{self._when(self._clock())}: {error}")
        else:
            self._due = None
            self._report(f"{self.name} started again, pid {self.pid}")

    def _plan_start(self) -> None:
        self._due = self._clock() + self._restart.delay(self._early_ends)

    def _when(self, now: float) -> str:
        return "" if self._due is None else f" in {self._due - now:.1f} s"
