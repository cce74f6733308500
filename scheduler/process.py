"""The scheduler role: wiring, start and orderly stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import uvloop

from scheduler import failpoints, garbage
from scheduler.api.grpc.server import GrpcServer
from scheduler.api.listening import listen
from scheduler.api.rest.server import RestServer
from scheduler.assembly import Assembly
from scheduler.background import Background
from scheduler.clock import SystemClock
from scheduler.domain.task import TaskState
from scheduler.observation import Observation, Ping, reachable
from scheduler.settings import SchedulerSettings
from scheduler.storage.identity import ForeignStore
from scheduler.storage.queues import Queue
from scheduler.stores import Stores
from scheduler.telemetry import BacklogReading, BacklogSeries, QueueReading, Telemetry, probe_routes

_log = logging.getLogger(__name__)


def run(settings: SchedulerSettings) -> None:
    """Run a scheduler until SIGTERM or SIGINT; raises SystemExit where it had to end by itself."""
    try:
        orderly = uvloop.run(_run(settings))
    except ForeignStore as error:
        raise SystemExit(f"taskyard-server scheduler does not start: {error.detail}") from error
    if not orderly:
        raise SystemExit(1)


async def _run(settings: SchedulerSettings) -> bool:
    """Whether it ended because it was told to."""
    stop, failed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail() -> None:
        failed.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    telemetry = Telemetry.for_role("scheduler", pod=settings.pod_name, id=f"{settings.pod_name}-{os.getpid()}")
    failpoints.arm(settings.failpoints)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(telemetry.close)
        scheduler = Scheduler(settings, telemetry, fail)
        await scheduler.start()
        stack.push_async_callback(scheduler.close)
        garbage.relax()
        _log.info("scheduler ready", extra={"rest": scheduler.rest_address, "grpc": scheduler.grpc_address})
        await stop.wait()
    return not failed.is_set()


class Scheduler:
    """One scheduler. It starts whatever stores are away, and works as soon as they are there.

    `failed` is called when a part of it has failed for good, so that half a scheduler does not go on.
    """

    def __init__(self, settings: SchedulerSettings, telemetry: Telemetry, failed: Callable[[], None]) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._failed = failed
        self._background = Background()
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
        for loop in (
            self._telemetry.lag.run(),
            self.parts.admission.run(),
            self.parts.waits.run(),
            self.parts.listen(),
            self.parts.stores.identity.run(SystemClock()),
            self._grpc.tell_health(),
            *(observation.run() for observation in self.observations),
        ):
            self._background.start(self._must_go_on(loop))

    async def close(self) -> None:
        """Take no more requests, finish those under way within the drain timeout, and close the stores."""
        _log.info("scheduler stops")
        self.parts.readiness.drain()
        self.parts.waits.close()
        grace = self._settings.drain_timeout
        await asyncio.gather(self._grpc.stop(grace), self._rest.stop(grace))
        await self.parts.intake.close()
        await self.parts.publication.close()
        await self._background.cancel()
        await self._stores.aclose()

    async def _open(self) -> None:
        stores = await self._stores.enter_async_context(Stores.open(self._settings))
        await stores.identity.first_look()
        self.parts = Assembly(self._settings, stores, self._telemetry)
        self._observe()

    def _observe(self) -> None:
        clock, stores, series = SystemClock(), self.parts.stores, BacklogSeries()

        async def depths() -> list[QueueReading]:
            return [_depth(queue) for queue in await stores.tasks.queues.all()]

        async def waiting() -> list[BacklogReading]:
            await self.parts.backlogs.refresh()
            queues = [(depth.namespace, depth.queue) for depth in seen.last]
            return series.show(queues, self.parts.backlogs.by_selector())

        pings: dict[str, Ping] = {
            "postgres": stores.tasks.ping,
            "redis": stores.delivery.epoch.current,
            "etcd": partial(stores.etcd.kv.get, stores.etcd.keys.config),
        }
        seen: Observation[list[QueueReading]] = Observation(depths, [], clock)
        backlogs: Observation[list[BacklogReading]] = Observation(waiting, [], clock)
        reached: Observation[dict[str, bool]] = Observation(partial(reachable, pings), {}, clock)
        gauges = self._telemetry.gauges
        gauges.queues = lambda: seen.last
        gauges.backlogs = lambda: backlogs.last
        gauges.stores = lambda: reached.last
        self.observations = (seen, backlogs, reached)

    async def _serve(self) -> None:
        settings, services = self._settings, self.parts.services
        listener, self.rest_address = listen(settings.rest_address)
        self._stores.callback(listener.close)
        self._grpc = GrpcServer(services)
        self.grpc_address = await self._grpc.start(settings.grpc_address)
        telemetry = self._telemetry
        probes = probe_routes(telemetry.metrics, telemetry.lag.live, self.parts.readiness.obstacle)
        self._rest = RestServer(services, probes, settings.names)
        await self._rest.start(listener)

    async def _must_go_on(self, loop: Coroutine[Any, Any, Any]) -> None:
        try:
            await loop
        except Exception:
            _log.exception("a loop of the scheduler failed")
            self._failed()


def _depth(queue: Queue) -> QueueReading:
    depth = {
        TaskState.SCHEDULED: queue.scheduled,
        TaskState.BLOCKED: queue.blocked,
        TaskState.QUEUED: queue.queued,
        TaskState.RUNNING: queue.running,
        TaskState.FAILED: queue.failed,
    }
    return QueueReading(queue.namespace, queue.name, depth, queue.oldest_age or 0.0)
