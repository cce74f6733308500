"""Carries out a plan: each fault at its time, and taken back at its time."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack

from chaos.backends.cluster import CURRENT, MODE_VARIABLE, SERVERS, WORKS, Capability, Cluster, Part, Role
from chaos.experiments.plan import Step
from chaos.faults import failpoints, upgrades, workers
from chaos.faults.fault import Blow, Fault, Hit, Scene
from chaos.history.events import Injected
from chaos.history.journal import Journal
from chaos.result import FaultRecord

LASTING = (failpoints.FAMILY, upgrades.FAMILY, workers.FAMILY)
"""Families whose faults restart parts in another way, which outlasts the part's end."""
PATIENCE_SECONDS = 30.0
"""A fault whose turn does not come for this long is left out."""
GRACE_SECONDS = 240.0
"""How long beginning and taking back one fault may take on top of its duration."""


class Execution:
    """A plan that is carried out on a cluster. Times are seconds since the epoch until `records` are told."""

    def __init__(
        self,
        cluster: Cluster,
        faults: Mapping[str, Fault],
        journal: Journal,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scene = Scene(cluster)
        self._faults = faults
        self._journal = journal
        self._say = say
        self._clock = clock
        self._strained: dict[str, asyncio.Lock] = {}
        self._records: list[FaultRecord] = []
        self.current: dict[int, str] = {}
        """What is being done now, in words."""
        self.half_done = False
        """Whether parts may have been left with another environment or version than they should have."""

    @property
    def done(self) -> int:
        """How many faults are over that could be injected."""
        return sum(record.error is None for record in self._records)

    async def run(self, steps: Iterable[Step]) -> None:
        """Does all steps, counted from now, and returns when the last one is over."""
        origin = self._clock()
        async with asyncio.TaskGroup() as group:
            for number, step in enumerate(steps):
                await asyncio.sleep(max(0.0, origin + step.at - self._clock()))
                group.create_task(self._strike(number, step), name=f"fault {step.fault}")

    def records(self, origin: float) -> list[FaultRecord]:
        """What was done so far, in order, with times made seconds since `origin`."""
        return sorted(
            (
                FaultRecord(r.began - origin, r.healed - origin, r.family, r.fault, r.target, r.detail, r.error)
                for r in self._records
            ),
            key=lambda record: record.began,
        )

    async def _strike(self, number: int, step: Step) -> None:
        fault = self._faults[step.fault]
        async with AsyncExitStack() as stack:
            if not await self._turn(stack, fault.strained(step.target)):
                self._note(fault, Hit((step.target,)), self._clock(), "its turn did not come")
                return
            self.current[number] = f"{fault.name} {step.target}"
            try:
                await self._inject(fault, step)
            finally:
                del self.current[number]

    async def _turn(self, stack: AsyncExitStack, strained: Iterable[str]) -> bool:
        """Waits for what must not overlap: a fault may take longer than planned."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for thing in sorted(strained):
                    await stack.enter_async_context(self._strained.setdefault(thing, asyncio.Lock()))
        except TimeoutError:
            return False
        return True

    async def _inject(self, fault: Fault, step: Step) -> None:
        began, hit, error = self._clock(), Hit((step.target,)), None
        try:
            async with asyncio.timeout(step.duration + GRACE_SECONDS):
                async with fault.inject(self._scene, Blow(step.target, step.draw)) as hit:
                    self._scene.struck.update(hit.parts)
                    try:
                        await asyncio.sleep(step.duration)
                    finally:
                        self._scene.struck.difference_update(hit.parts)
        # Whatever went wrong is told with the fault; the experiment goes on.
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            self.half_done |= fault.family in LASTING
            self._say(f"fault {fault.name} ({step.target}) failed: {error}")
        self._note(fault, hit, began, error)

    def _note(self, fault: Fault, hit: Hit, began: float, error: str | None) -> None:
        healed, target = self._clock(), " ".join(hit.parts)
        self._records.append(FaultRecord(began, healed, fault.family, fault.name, target, hit.detail, error))
        if error is None:
            self._journal.append(Injected(began, healed, fault.name, target, hit.detail))


async def heal_everything(cluster: Cluster, *, restart_all: bool) -> None:
    """Takes back whatever a fault may have left behind, even one that failed halfway."""
    for link in cluster.links:
        await cluster.heal(link)
    for part in cluster.parts():
        await _heal(cluster, part)
    await cluster.redis_command("CONFIG", "SET", "maxmemory", "0")
    if restart_all:
        for role in SERVERS:
            for part in cluster.parts(role):
                await cluster.restart(part.name, environment={failpoints.VARIABLE: ""}, version=CURRENT)
        for part in cluster.parts(Role.WORKER):
            await cluster.restart(part.name, environment={MODE_VARIABLE: WORKS})


async def _heal(cluster: Cluster, part: Part) -> None:
    if Capability.FREEZE in cluster.capabilities:
        await cluster.thaw(part.name)
    if Capability.HOLD in cluster.capabilities:
        await cluster.release(part.name)
    if cluster.capabilities & {Capability.DISK, Capability.DESCRIPTORS, Capability.CLOCK}:
        await cluster.relieve(part.name)
