"""The scheduler role: wiring, start and orderly stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import uvloop

from taskyard_core.domain.task import TaskState
from taskyard_core.runtime import failpoints, garbage
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.listening import listen
from taskyard_core.runtime.loops import Loops
from taskyard_core.runtime.observation import REST_PER_READ, Observation, Ping, StoreHealth
from taskyard_core.storage.identity import ForeignStore
from taskyard_core.storage.queues import Queue
from taskyard_core.telemetry import BacklogReading, BacklogSeries, QueueReading, QueueSeries, Telemetry, probe_routes
from taskyard_scheduler.api.grpc.server import GrpcServer
from taskyard_scheduler.api.rest.server import RestServer
from taskyard_scheduler.assembly import Assembly
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_scheduler.stores import Stores

_log = logging.getLogger(__name__)

_OBSERVED_QUEUES = 5000
"""Queues that metrics look at, those with most tasks first."""


def run(settings: SchedulerSettings, remarks: Sequence[str] = ()) -> None:
    """Run a scheduler until SIGTERM or SIGINT; the log begins with the remarks. SystemExit where two clusters meet."""
    try:
        uvloop.run(_run(settings, remarks))
    except ForeignStore as error:
        raise SystemExit(f"taskyard-server scheduler does not start: {error.detail}") from error


async def _run(settings: SchedulerSettings, remarks: Sequence[str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    telemetry = Telemetry.for_role("scheduler", pod=settings.pod_name, id=f"{settings.pod_name}-{os.getpid()}")
    for remark in remarks:
        _log.warning(remark)
    failpoints.arm(settings.failpoints)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(telemetry.close)
        scheduler = Scheduler(settings, telemetry)
        await scheduler.start()
        stack.push_async_callback(scheduler.close)
        garbage.relax()
        _log.info("scheduler ready", extra={"rest": scheduler.rest_address, "grpc": scheduler.grpc_address})
        await stop.wait()


class Scheduler:
    """One scheduler. It starts whatever stores are away, and works as soon as they are there."""

    def __init__(self, settings: SchedulerSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._background = Background()
        self.loops = Loops(self._background, SystemClock())
        self._stores = AsyncExitStack()
        self.rest_address = ""
        self.grpc_address = ""

    async def start(self) -> None:
        """Serve both APIs; raises OSError for an address that cannot be had, ForeignStore where two clusters meet."""
        try:
            await self._open()
            await self._serve()
        except BaseException:
            await self._background.cancel()
            await self._stores.aclose()
            raise
        self.loops.start(
            self._telemetry.lag.run,
            partial(garbage.watch, SystemClock()),
            self.parts.admission.run,
            self.parts.waits.run,
            self.parts.listen,
            partial(self.parts.stores.identity.run, SystemClock()),
            self._grpc.tell_health,
            *(observation.run for observation in self.observations),
        )

    async def close(self) -> None:
        """Take no more requests, finish those under way within the drain timeout, and close the stores."""
        _log.info("scheduler stops")
        self.parts.readiness.drain()
        self.parts.waits.close()
        grace = self._settings.drain_timeout
        await asyncio.gather(self._grpc.stop(grace), self._rest.stop(grace))
        await self.parts.intake.close()
        await self.parts.aftermath.close()
        await self._background.cancel()
        await self._stores.aclose()

    async def _open(self) -> None:
        stores = await self._stores.enter_async_context(Stores.open(self._settings))
        await stores.identity.first_look()
        self.parts = Assembly(self._settings, stores, self._telemetry)
        self.parts.readiness.heed(self.loops.obstacle)
        self._observe()

    def _observe(self) -> None:
        clock, stores, series, queues_series = SystemClock(), self.parts.stores, BacklogSeries(), QueueSeries()

        async def depths() -> list[QueueReading]:
            return queues_series.show([_depth(queue) for queue in await stores.lists.queues.fullest(_OBSERVED_QUEUES)])

        async def waiting() -> list[BacklogReading]:
            await self.parts.backlogs.refresh()
            queues = [(depth.namespace, depth.queue) for depth in seen.last]
            return series.show(queues, self.parts.backlogs.by_selector())

        pings: dict[str, Ping] = {
            "postgres": stores.probe.ping,
            "redis": stores.delivery.ping,
            "etcd": stores.etcd.ping,
        }
        seen: Observation[list[QueueReading]] = Observation(depths, [], clock, rest=REST_PER_READ)
        backlogs: Observation[list[BacklogReading]] = Observation(waiting, [], clock, rest=REST_PER_READ)
        health = StoreHealth(pings, clock)
        gauges = self._telemetry.gauges
        gauges.queues = lambda: seen.last
        gauges.backlogs = lambda: backlogs.last
        gauges.stores = lambda: health.up
        self.observations = (seen, backlogs, health)

    async def _serve(self) -> None:
        settings, services = self._settings, self.parts.services
        listeners, self.rest_address = listen(settings.rest_address)
        for listener in listeners:
            self._stores.callback(listener.close)
        self._grpc = GrpcServer(services)
        self.grpc_address = await self._grpc.start(settings.grpc_address)
        telemetry = self._telemetry
        probes = probe_routes(telemetry.metrics, telemetry.lag.live, self.parts.readiness.obstacle)
        self._rest = RestServer(services, probes, settings.names)
        await self._rest.start(listeners)


def _depth(queue: Queue) -> QueueReading:
    depth = {
        TaskState.SCHEDULED: queue.scheduled,
        TaskState.BLOCKED: queue.blocked,
        TaskState.QUEUED: queue.queued,
        TaskState.RUNNING: queue.running,
        TaskState.FAILED: queue.failed,
    }
    return QueueReading(queue.namespace, queue.name, depth, queue.oldest_age or 0.0)
