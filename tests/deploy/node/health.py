"""The probes of one run of a container, again and again."""

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.deploy.chart import Manifest
from tests.deploy.node.probe import Tally, Target, answer

STARTUP, LIVENESS, READINESS = "startupProbe", "livenessProbe", "readinessProbe"


class Health:
    """Asks, and knows what the answers amount to. `tell` is called at each of them."""

    def __init__(self, container: Manifest, target: Target, tell: Callable[[], None]) -> None:
        self._probes: dict[str, Manifest] = {
            kind: container[kind] for kind in (STARTUP, LIVENESS, READINESS) if kind in container
        }
        # What nobody asks about is as it should be; until the first answers a container lives and is not ready.
        initially = {STARTUP: None, LIVENESS: True, READINESS: False}
        self._tallies = {kind: Tally(probe, verdict=initially[kind]) for kind, probe in self._probes.items()}
        self._target = target
        self._tell = tell
        self._started = asyncio.Event()
        self.failed = asyncio.Event()
        """Set once the container has to be started again."""
        self.answers: Counter[tuple[str, bool]] = Counter()
        """How often each probe has succeeded and failed."""
        self.complaints: dict[str, str] = {}
        """What each probe said when it failed last."""

    @property
    def ready(self) -> bool:
        """Whether the container should be sent requests."""
        return self._started.is_set() and self._verdict(READINESS) is not False

    async def watch(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start())
            for kind in self._probes.keys() - {STARTUP}:
                group.create_task(self._keep_asking(kind))

    async def _start(self) -> None:
        if STARTUP in self._probes:
            await self._ask_until(STARTUP, lambda: self._verdict(STARTUP) is not None)
        if self._verdict(STARTUP) is False:
            self.failed.set()
        else:
            self._started.set()
            self._tell()

    async def _keep_asking(self, kind: str) -> None:
        await self._started.wait()
        await self._ask_until(kind, lambda: kind == LIVENESS and self._verdict(kind) is False)
        self.failed.set()

    async def _ask_until(self, kind: str, enough: Callable[[], bool]) -> None:
        probe, loop = self._probes[kind], asyncio.get_running_loop()
        due = loop.time() + probe.get("initialDelaySeconds", 0)
        while not enough():
            await asyncio.sleep(due - loop.time())
            due += probe.get("periodSeconds", 10)
            await self._ask(kind)

    async def _ask(self, kind: str) -> None:
        complaint = await answer(self._probes[kind], self._target)
        self.answers[kind, complaint is None] += 1
        if complaint is not None:
            self.complaints[kind] = complaint
        self._tallies[kind].count(complaint is None)
        self._tell()

    def _verdict(self, kind: str) -> bool | None:
        return self._tallies[kind].verdict if kind in self._tallies else True
