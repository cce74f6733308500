"""A whole cluster: schedulers, dispatchers and workers, each a simulated process that is started again when it dies.

What runs here is what runs in production, as far as it decides anything. Dispatchers are whole: their assembly, with
all its parts, started and stopped in its own order. Schedulers are their assembly without its loops and transports:
clients call the verbs, and a scheduler that is told to stop just dies. Workers are `simulation.worker`, which drives
the SDK's real `SessionState` over attempts of its own. The stores are those of `simulation.memory`, which the
conformance tests hold to the real ones. Not in it: gRPC, REST and the SDK's threads, drivers, SQL and Lua, and both
roles' `process.py` with probes, metrics and signals.
"""

import asyncio
from random import Random
from typing import Protocol

from chaos.history.record import History
from simulation.chance import VirtualClock
from simulation.loop import Process, VirtualLoop
from simulation.network import Network
from simulation.plan import Machine, Plan
from simulation.stores import StoreRoom
from simulation.worker import Worker
from taskyard_core.runtime.service import Part as ServicePart
from taskyard_core.runtime.service import Service
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.assembly import Assembly as DispatcherAssembly
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores as DispatcherStores
from taskyard_scheduler.assembly import Assembly as SchedulerAssembly
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_scheduler.stores import Stores as SchedulerStores

# Shorter than in production, as schedules are: outages of a few seconds must outlast them.
DISPATCHER = DispatcherSettings.model_validate(
    {
        "pod_name": "pod",
        "heartbeat_interval": 1.0,
        "session_timeout": 3.0,
        "stream_grace": 1.0,
        "leader_ttl": 2,
        "drain_timeout": 3.0,
        # Else no schedule would last long enough for a handler that does not stop when told to.
        "stop_grace": 2.0,
    }
)
SCHEDULER = SchedulerSettings.model_validate({"pod_name": "pod"})


class Part(Protocol):
    """A member of the cluster that the supervisor keeps alive; `process` is its present run."""

    process: Process

    @property
    def name(self) -> str:
        """What it is called over all its runs."""

    def boot(self, process: Process) -> None:
        """Begin a run."""

    def terminate(self) -> None:
        """SIGTERM."""


class SchedulerPart:
    """A scheduler without its transports: clients call its desk and its tasks, and nobody waits or is refused."""

    def __init__(self, name: str, cluster: "Cluster") -> None:
        self.name = name
        self._cluster = cluster

    def boot(self, process: Process) -> None:
        """See Part."""
        self.process = process
        room = self._cluster.stores
        tasks = room.task_store(process, self.name)
        stores = SchedulerStores(
            tasks=tasks,
            lists=tasks,
            probe=tasks,
            delivery=room.delivery(process),
            etcd=room.etcd_client(process),
        )
        self.parts = SchedulerAssembly(SCHEDULER, stores, self._cluster.telemetry)
        self.desk, self.tasks = self.parts.desk, self.parts.tasks

    def terminate(self) -> None:
        """Nothing waits for it: see Part."""
        self.process.kill()


class DispatcherPart:
    """A dispatcher with all its loops; workers reach it at its name."""

    def __init__(self, name: str, cluster: "Cluster") -> None:
        self.name = name
        self._cluster = cluster
        self._runs = 0
        self._leaving: Process | None = None

    def boot(self, process: Process) -> None:
        """See Part."""
        self.process = process
        process.start(self._run(process))

    def terminate(self) -> None:
        """See Part."""
        process = self.process
        # Told twice, it leaves once.
        if process.alive and self._leaving is not process:
            self._leaving = process
            process.start(self._leave(process))

    async def _run(self, process: Process) -> None:
        cluster, room = self._cluster, self._cluster.stores
        self._runs += 1
        id = f"{self.name}.{self._runs}"
        self.parts = DispatcherAssembly(
            id,
            DISPATCHER.model_copy(update={"session_address": f"{self.name}:7071", "pod_name": self.name}),
            DispatcherStores(
                tasks=room.task_store(process, id),
                duties=room.task_store(process, f"{id}-duties"),
                probe=room.task_store(process, f"{id}-probe"),
                delivery=room.delivery(process),
                etcd=room.etcd_client(process),
            ),
            cluster.telemetry,
            VirtualClock(cluster.loop),
        )
        self.service = Service(self.parts.clock)
        await self.service.start(*self.parts.in_order(ServicePart("network", start=self._listen, stop=self._hang_up)))

    async def _listen(self) -> None:
        self._cluster.network.listen(self.name, self.process, self.parts.streams.Session)

    async def _hang_up(self) -> None:
        # As long as the real server gives them.
        await self._cluster.network.hang_up(self.name, 1.0)

    async def _leave(self, process: Process) -> None:
        await self.service.stop()
        left = [task for task in self._cluster.loop.unfinished(process) if task is not asyncio.current_task()]
        if left:
            told = {"message": f"{self.name} has stopped, and goes on with {left}"}
            self._cluster.loop.call_exception_handler(told)
        process.kill()


class WorkerPart:
    """A worker; each run is a session of its own."""

    def __init__(self, machine: Machine, cluster: "Cluster") -> None:
        self.name = machine.name
        self._machine = machine
        self._cluster = cluster

    def boot(self, process: Process) -> None:
        """See Part."""
        self.process = process
        process.start(self._run(process))

    def terminate(self) -> None:
        """See Part."""
        if self.process.alive:
            self.process.start(self._leave(self.process))

    async def _run(self, process: Process) -> None:
        cluster = self._cluster
        self.worker = Worker(
            self._machine,
            process,
            network=cluster.network,
            addresses=list(cluster.plan.dispatchers),
            jobs=cluster.plan.jobs,
            history=cluster.history,
            random=cluster.random,
        )
        await self.worker.run()

    async def _leave(self, process: Process) -> None:
        await self.worker.leave()
        process.kill()


class Cluster:
    """All parts and what is between them."""

    def __init__(
        self,
        plan: Plan,
        loop: VirtualLoop,
        *,
        stores: StoreRoom,
        history: History,
        telemetry: Telemetry,
        random: Random,
    ) -> None:
        self.plan = plan
        self.loop = loop
        self.stores = stores
        self.history = history
        self.telemetry = telemetry
        self.random = random
        self.network = Network(loop, random, (plan.latency / 10, plan.latency))
        self._workers = [WorkerPart(machine, self) for machine in plan.workers]
        self.schedulers = {name: SchedulerPart(name, self) for name in plan.schedulers}
        self._dispatchers = [DispatcherPart(name, self) for name in plan.dispatchers]
        every: list[Part] = [*self.schedulers.values(), *self._dispatchers, *self._workers]
        self.parts = {part.name: part for part in every}

    def start(self) -> None:
        """Boot everything, and again whatever dies."""
        for part in self.parts.values():
            self._boot(part)

    def workers(self) -> list[Worker]:
        """The workers that run."""
        return [part.worker for part in self._workers if part.process.alive and hasattr(part, "worker")]

    def holds(self, dispatcher: str, session: str, generation: int) -> bool:
        """Whether a dispatcher runs that holds that session in that generation."""
        running = [part for part in self._dispatchers if part.process.alive and hasattr(part, "parts")]
        found = [part.parts.roster.get(session) for part in running if part.parts.id == dispatcher]
        return any(held is not None and held.generation == generation for held in found)

    def sent_on(self, session: str, generation: int) -> float | None:
        """When the session's worker, if it runs, left in that generation because it was told to."""
        left = next((worker.sent_on for worker in self.workers() if worker.session == session), None)
        return left[1] if left is not None and left[0] == generation else None

    def _boot(self, part: Part) -> None:
        process = Process(self.loop, part.name)
        part.boot(process)
        process.at_death.append(lambda: self._bury(part))

    def _bury(self, part: Part) -> None:
        delay = 0.1 + self.random.random() * 0.9
        self.loop.after(delay, self._boot, part)
