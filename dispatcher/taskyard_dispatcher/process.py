"""The dispatcher role: what it serves, and the parts of its process beside those of its assembly."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import grpc

from taskyard_core.runtime import garbage
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.process import serve
from taskyard_core.runtime.readiness import Readiness
from taskyard_core.runtime.service import Part, Service
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.health import GrpcHealth
from taskyard_core.telemetry.probes import ProbeServer
from taskyard_core.wire.gen import worker_service_pb2_grpc
from taskyard_dispatcher.assembly import Assembly
from taskyard_dispatcher.gateway import guard
from taskyard_dispatcher.readings import Readings
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores

_SERVICE = "taskyard.v1.WorkerService"


def run(settings: DispatcherSettings, remarks: Sequence[str] = ()) -> None:
    """Run a dispatcher until SIGTERM or SIGINT; the log begins with the remarks. SystemExit where two clusters meet."""
    # A new id with each start: it names a consumer of the lanes, whose pending entries others take over.
    id = f"{settings.pod_name}-{uuid.uuid4().hex[:8]}"
    serve("dispatcher", id, settings, partial(Dispatcher, settings, id), remarks)


class Dispatcher:
    """One dispatcher. It starts whatever stores are away, and works as soon as they are there."""

    def __init__(self, settings: DispatcherSettings, id: str, telemetry: Telemetry) -> None:
        self._settings = settings
        self._id = id
        self._telemetry = telemetry
        self.service = Service(SystemClock())

    async def start(self) -> Mapping[str, str]:
        """See Role."""
        clock, opened = SystemClock(), AsyncExitStack()
        stores = await opened.enter_async_context(Stores.open(self._settings, self._id))
        assembly = Assembly(self._id, self._settings, stores, self._telemetry, clock)
        readiness = self._readiness(assembly)
        readings, probes = Readings(assembly), self._probes(readiness)
        readings.show()
        await self.service.start(
            Part("stores", stop=opened.aclose),
            Part("identity", start=stores.identity.first_look, run=partial(stores.identity.run, clock)),
            Part("lag", run=self._telemetry.lag.run),
            Part("garbage", run=partial(garbage.watch, clock)),
            Part("health of stores", run=readings.stores.run),
            Part("reading of the outbox", run=readings.outbox.run),
            Part("reading of etcd's size", run=readings.etcd_size.run),
            Part("probes", start=probes.start, stop=probes.stop),
        )
        assembly.http_address = probes.address
        server, health = guard.server(), GrpcHealth([_SERVICE])

        async def leave() -> None:
            readiness.drain()
            await health.serving(False)

        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(assembly.streams, server)
        await health.register(server)
        door = Part("session port", start=partial(self._listen, server), stop=partial(server.stop, grace=1))
        await self.service.start(
            *assembly.in_order(door), Part("readiness", start=partial(health.serving, True), stop=leave)
        )
        return {"address": self._settings.session_address}

    def _readiness(self, assembly: Assembly) -> Readiness:
        # A session is taken by Postgres: while it is of no use, workers should go where it may be.
        readiness = Readiness(assembly.stores.probe.ping)
        readiness.heed(lambda: assembly.stores.identity.obstacle)
        readiness.heed(lambda: assembly.vouching.obstacle)
        readiness.heed(self.service.obstacle)
        return readiness

    def _probes(self, readiness: Readiness) -> ProbeServer:
        settings, telemetry = self._settings, self._telemetry
        return ProbeServer(
            settings.http_address, telemetry.metrics, telemetry.lag.live, readiness.obstacle, names=settings.names
        )

    async def _listen(self, server: grpc.aio.Server) -> None:
        try:
            server.add_insecure_port(self._settings.session_address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._settings.session_address}") from error
        await server.start()
