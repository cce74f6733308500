"""The dispatcher role: start and orderly stop."""

import asyncio
import logging
import signal
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import grpc
import uvloop

from taskyard_core.runtime import failpoints, garbage
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.loops import Loops
from taskyard_core.runtime.readiness import Readiness
from taskyard_core.storage.identity import ForeignStore
from taskyard_core.telemetry import GrpcHealth, ProbeServer, Telemetry
from taskyard_core.wire.gen import worker_service_pb2_grpc
from taskyard_dispatcher.assembly import Assembly
from taskyard_dispatcher.gateway import guard
from taskyard_dispatcher.readings import Readings
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores

_log = logging.getLogger(__name__)

_SERVICE = "taskyard.v1.WorkerService"


def run(settings: DispatcherSettings, remarks: Sequence[str] = ()) -> None:
    """Run a dispatcher until SIGTERM or SIGINT; the log begins with the remarks. SystemExit where two clusters meet."""
    try:
        uvloop.run(Dispatcher(settings).run(remarks))
    except ForeignStore as error:
        raise SystemExit(f"taskyard-server dispatcher does not start: {error.detail}") from error


class Dispatcher:
    """One dispatcher process. It starts whatever stores are away, and works as soon as they are there."""

    def __init__(self, settings: DispatcherSettings) -> None:
        self._settings = settings
        # A new id with each start: it names a consumer of the lanes, whose pending entries others take over.
        self._id = f"{settings.pod_name}-{uuid.uuid4().hex[:8]}"
        self._stop = asyncio.Event()
        self._background = Background()
        self._loops = Loops(self._background, SystemClock())
        self._health = GrpcHealth([_SERVICE])

    async def run(self, remarks: Sequence[str] = ()) -> None:
        """Serve until told to stop, then let the workers move elsewhere."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        telemetry = Telemetry.for_role("dispatcher", pod=self._settings.pod_name, id=self._id)
        for remark in remarks:
            _log.warning(remark)
        failpoints.arm(self._settings.failpoints)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(telemetry.close)
            stores = await stack.enter_async_context(Stores.open(self._settings, self._id))
            await stores.identity.first_look()
            stack.push_async_callback(self._background.cancel)
            parts = Assembly(self._id, self._settings, stores, telemetry, SystemClock())
            # A session is taken by Postgres: while it is of no use, workers should go where it may be.
            ready = Readiness(stores.probe.ping)
            ready.heed(lambda: stores.identity.obstacle)
            ready.heed(lambda: parts.vouching.obstacle)
            ready.heed(self._loops.obstacle)
            probes = await self._serve_probes(parts, ready)
            stack.push_async_callback(probes.stop)
            parts.http_address = probes.address
            server = await self._serve_sessions(parts)
            self._start_loops(parts)
            garbage.relax()
            _log.info("dispatcher ready", extra={"address": self._settings.session_address})
            await self._stop.wait()
            ready.drain()
            await self._drain(parts, server)

    async def _serve_probes(self, parts: Assembly, ready: Readiness) -> ProbeServer:
        telemetry = parts.telemetry
        settings = self._settings
        probes = ProbeServer(
            settings.http_address, telemetry.metrics, telemetry.lag.live, ready.obstacle, names=settings.names
        )
        await probes.start()
        return probes

    async def _serve_sessions(self, parts: Assembly) -> grpc.aio.Server:
        server = guard.server()
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(parts.streams, server)
        await self._health.register(server)
        if not server.add_insecure_port(self._settings.session_address):
            raise OSError(f"cannot listen on {self._settings.session_address}")
        await server.start()
        await self._health.serving(True)
        return server

    def _start_loops(self, parts: Assembly) -> None:
        readings = Readings(parts)
        readings.show()
        self._loops.start(
            parts.telemetry.lag.run,
            partial(garbage.watch, parts.clock),
            readings.stores.run,
            readings.outbox.run,
            readings.etcd_size.run,
            partial(parts.stores.identity.run, parts.clock),
            *parts.loops(),
        )

    async def _drain(self, parts: Assembly, server: grpc.aio.Server) -> None:
        """Leave: first the leadership, then the workers, then what they still brought."""
        _log.info("dispatcher stops")
        await self._health.serving(False)
        await parts.leave()
        await server.stop(grace=1)
        await parts.grace.close()
        await parts.presence.close()
