"""The dispatcher role: start and orderly stop."""

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import grpc
import uvloop

from dispatcher.assembly import Assembly
from dispatcher.guard import Guard
from dispatcher.membership import DispatcherRecord, DispatcherRegistration
from dispatcher.readings import Readings
from dispatcher.settings import DispatcherSettings
from dispatcher.stores import Stores
from scheduler import failpoints, garbage
from scheduler.background import Background
from scheduler.clock import SystemClock
from scheduler.domain import limits
from scheduler.telemetry import GrpcHealth, ProbeServer, Telemetry
from scheduler.version import VERSION
from scheduler.wire.gen import worker_service_pb2_grpc

_log = logging.getLogger(__name__)

_SERVICE = "taskyard.v1.WorkerService"

_GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", limits.FRAME_RECEIVE_BYTES),
    ("grpc.max_send_message_length", 6 * 1024 * 1024),
    # What a connection brings before it is read is bounded, however fast it could bring more.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
    # Workers ping idle connections; without these a server closes them for it.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
]


def run(settings: DispatcherSettings) -> None:
    """Run a dispatcher until SIGTERM or SIGINT."""
    uvloop.run(Dispatcher(settings).run())


class Dispatcher:
    """One dispatcher process. It starts whatever stores are away, and works as soon as they are there."""

    def __init__(self, settings: DispatcherSettings) -> None:
        self._settings = settings
        # A new id with each start: it names a consumer of the lanes, whose pending entries others take over.
        self._id = f"{settings.pod_name}-{uuid.uuid4().hex[:8]}"
        self._stop = asyncio.Event()
        self._background = Background()
        self._health = GrpcHealth([_SERVICE])

    async def run(self) -> None:
        """Serve until told to stop, then let the workers move elsewhere."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        telemetry = Telemetry.for_role("dispatcher", pod=self._settings.pod_name, id=self._id)
        failpoints.arm(self._settings.failpoints)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(telemetry.close)
            stores = await stack.enter_async_context(Stores.open(self._settings, self._id))
            stack.push_async_callback(self._background.cancel)
            parts = Assembly(self._id, self._settings, stores, telemetry, SystemClock())
            probes = await self._serve_probes(parts)
            stack.push_async_callback(probes.stop)
            server = await self._serve_sessions(parts)
            self._start_loops(parts, probes)
            garbage.relax()
            _log.info("dispatcher ready", extra={"address": self._settings.session_address})
            await self._stop.wait()
            await self._drain(parts, server)

    async def _serve_probes(self, parts: Assembly) -> ProbeServer:
        telemetry = parts.telemetry
        probes = ProbeServer(self._settings.http_address, telemetry.metrics, telemetry.lag.live, self._not_ready)
        await probes.start()
        return probes

    async def _serve_sessions(self, parts: Assembly) -> grpc.aio.Server:
        server = grpc.aio.server(interceptors=[Guard()], options=_GRPC_OPTIONS)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(parts.streams, server)
        await self._health.register(server)
        if not server.add_insecure_port(self._settings.session_address):
            raise OSError(f"cannot listen on {self._settings.session_address}")
        await server.start()
        await self._health.serving(True)
        return server

    def _start_loops(self, parts: Assembly, probes: ProbeServer) -> None:
        readings = Readings(parts)
        readings.show()
        registration = DispatcherRegistration(parts.stores.etcd, self._record(parts, probes))
        for loop in (
            parts.telemetry.lag.run(),
            registration.run(),
            readings.stores.run(),
            readings.outbox.run(),
            readings.etcd_size.run(),
            *parts.loops(),
        ):
            self._background.start(_must_go_on(loop, self._stop))

    async def _drain(self, parts: Assembly, server: grpc.aio.Server) -> None:
        """Leave: first the leadership, then the workers, then what they still brought."""
        _log.info("dispatcher stops")
        await self._health.serving(False)
        await parts.leave()
        await server.stop(grace=1)
        await parts.departure.close()

    async def _not_ready(self) -> str | None:
        return "shutting down" if self._stop.is_set() else None

    def _record(self, parts: Assembly, probes: ProbeServer) -> DispatcherRecord:
        return DispatcherRecord(
            dispatcher_id=self._id,
            pid=os.getpid(),
            pod=self._settings.pod_name,
            session_address=parts.advertised_address,
            http_address=probes.address,
            version=VERSION,
            started_at=datetime.now(UTC).isoformat(),
        )


async def _must_go_on(loop: Coroutine[Any, Any, Any], stop: asyncio.Event) -> None:
    """A loop that fails takes the process with it: half a dispatcher is worse than none, and a new one soon starts."""
    try:
        await loop
    except Exception:
        _log.exception("a loop of the dispatcher failed")
        stop.set()
