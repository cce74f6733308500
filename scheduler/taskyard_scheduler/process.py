"""The scheduler role: what it serves, and the parts of its process beside those of its assembly."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial

from taskyard_core.runtime import garbage
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.listening import listen
from taskyard_core.runtime.process import serve
from taskyard_core.runtime.service import Part, Service
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.probes import probe_routes
from taskyard_scheduler.api.grpc.server import GrpcServer
from taskyard_scheduler.api.rest.server import RestServer
from taskyard_scheduler.assembly import Assembly
from taskyard_scheduler.readings import Readings
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_scheduler.stores import Stores


def run(settings: SchedulerSettings, remarks: Sequence[str] = ()) -> None:
    """Run a scheduler until SIGTERM or SIGINT; the log begins with the remarks. SystemExit where two clusters meet."""
    serve("scheduler", f"{settings.pod_name}-{os.getpid()}", settings, partial(Scheduler, settings), remarks)


class Scheduler:
    """One scheduler. It starts whatever stores are away, and works as soon as they are there."""

    def __init__(self, settings: SchedulerSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self.service = Service(SystemClock())
        self.rest_address = ""
        self.grpc_address = ""

    async def start(self) -> Mapping[str, str]:
        """See Role."""
        clock, opened = SystemClock(), AsyncExitStack()
        stores = await opened.enter_async_context(Stores.open(self._settings))
        self.parts = Assembly(self._settings, stores, self._telemetry)
        self.parts.readiness.heed(self.service.obstacle)
        self.readings = Readings(self.parts)
        self.readings.show()
        await self.service.start(
            Part("stores", stop=opened.aclose),
            Part("identity", start=stores.identity.first_look, run=partial(stores.identity.run, clock)),
            Part("lag", run=self._telemetry.lag.run),
            Part("garbage", run=partial(garbage.watch, clock)),
            Part("health of stores", run=self.readings.stores.run),
            Part("reading of queues", run=self.readings.queues.run),
            Part("reading of backlogs", run=self.readings.backlogs.run),
        )
        await self.service.start(*self.parts.in_order(self._doors()))
        return {"rest": self.rest_address, "grpc": self.grpc_address}

    def _doors(self) -> Part:
        settings, telemetry, services = self._settings, self._telemetry, self.parts.services
        probes = probe_routes(telemetry.metrics, telemetry.lag.live, self.parts.readiness.obstacle)
        grpc, rest = GrpcServer(services, SystemClock()), RestServer(services, probes, settings.names)

        async def open_both() -> None:
            listeners, self.rest_address = listen(settings.rest_address)
            with ExitStack() as undoing:
                for listener in listeners:
                    undoing.callback(listener.close)
                self.grpc_address = await grpc.start(settings.grpc_address)
                undoing.pop_all()
            await rest.start(listeners)

        async def close_both() -> None:
            await asyncio.gather(grpc.stop(settings.drain_timeout), rest.stop(settings.drain_timeout))

        return Part(
            "gRPC and REST", start=open_both, run=grpc.tell_health, stop=close_both, patience=settings.drain_timeout
        )
