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
from scheduler.api.admission import Admission
from scheduler.api.cluster import Cluster
from scheduler.api.grpc.server import GrpcServer
from scheduler.api.listening import listen
from scheduler.api.membership import EtcdMembership
from scheduler.api.queues import Queues
from scheduler.api.readiness import Readiness
from scheduler.api.rest.server import RestServer
from scheduler.api.services import Services
from scheduler.api.submissions import SubmissionDesk
from scheduler.api.tasks import Tasks
from scheduler.api.waits import Waits
from scheduler.background import Background
from scheduler.clock import SystemClock
from scheduler.domain.task import TaskState
from scheduler.intake import Intake
from scheduler.observation import Observation, Ping, reachable
from scheduler.publication import Publication
from scheduler.settings import SchedulerSettings
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.changes import Changes
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.outbox import Outbox
from scheduler.storage.postgres.queues import Queue, StoredQueues
from scheduler.storage.postgres.submissions import Submissions
from scheduler.storage.postgres.tasks import StoredTasks
from scheduler.storage.postgres.workers import LiveWorkers
from scheduler.storage.redis.connection import connect
from scheduler.storage.redis.epoch import LaneEpoch
from scheduler.storage.redis.hint_stream import HintStream
from scheduler.storage.redis.hints import Hints, TasksFinished
from scheduler.storage.redis.keys import Keys
from scheduler.storage.redis.lanes import LaneStore
from scheduler.telemetry import QueueReading, Telemetry, probe_routes

_log = logging.getLogger(__name__)


def run(settings: SchedulerSettings) -> None:
    """Run a scheduler until SIGTERM or SIGINT; raises SystemExit where it had to end by itself."""
    if not uvloop.run(_run(settings)):
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
        """Serve both APIs; raises OSError for an address that cannot be had."""
        try:
            await self._open()
            self._assemble()
            await self._serve()
        except BaseException:
            await self._background.cancel()
            await self._stores.aclose()
            raise
        for loop in (
            self._telemetry.lag.run(),
            self.admission.run(),
            self._waits.run(),
            self._listen(),
            self._grpc.tell_health(),
            *(observation.run() for observation in self._observations),
        ):
            self._background.start(self._must_go_on(loop))

    async def close(self) -> None:
        """Take no more requests, finish those under way within the drain timeout, and close the stores."""
        _log.info("scheduler stops")
        self._readiness.drain()
        self._waits.close()
        grace = self._settings.drain_timeout
        await asyncio.gather(self._grpc.stop(grace), self._rest.stop(grace))
        await self._intake.close()
        await self._publication.close()
        await self._background.cancel()
        await self._stores.aclose()

    async def _open(self) -> None:
        settings = self._settings
        self._database = await Database.open(
            settings.postgres_url,
            application=f"taskyard-scheduler-{settings.pod_name}",
            connections=settings.postgres_connections,
        )
        self._stores.push_async_callback(self._database.close)
        self._redis = connect(settings.redis_url)
        self._stores.push_async_callback(self._redis.aclose)
        self._etcd = await self._stores.enter_async_context(Etcd(settings.etcd))

    def _assemble(self) -> None:
        database, keys = self._database, Keys(self._settings.redis_prefix)
        stored, outbox = StoredTasks(database), Outbox(database)
        stored_queues = StoredQueues(database)
        self._hint_stream = HintStream(self._redis, keys, TasksFinished)
        self._publication = Publication(LaneStore(self._redis, keys), outbox)
        self._intake = Intake(Submissions(database), self._publication)
        self.admission = Admission(stored_queues, self._settings.max_backlog)
        self._waits = Waits(stored)
        self._readiness = Readiness(database.ping)
        self._services = Services(
            desk=SubmissionDesk(self._intake, self.admission, stored, self._telemetry),
            tasks=Tasks(
                database=database,
                stored=stored,
                changes=Changes(database),
                outbox=outbox,
                publication=self._publication,
                waits=self._waits,
                hints=Hints(self._redis, keys),
                telemetry=self._telemetry,
            ),
            queues=Queues(stored_queues),
            cluster=Cluster(EtcdMembership(self._etcd), LiveWorkers(database)),
            readiness=self._readiness,
        )
        self._show_gauges(stored_queues, LaneEpoch(self._redis, keys))

    def _show_gauges(self, queues: StoredQueues, epoch: LaneEpoch) -> None:
        clock = SystemClock()

        async def depths() -> list[QueueReading]:
            return [_depth(queue) for queue in await queues.all()]

        pings: dict[str, Ping] = {
            "postgres": self._database.ping,
            "redis": epoch.current,
            "etcd": partial(self._etcd.kv.get, self._etcd.keys.config),
        }
        seen: Observation[list[QueueReading]] = Observation(depths, [], clock)
        stores: Observation[dict[str, bool]] = Observation(partial(reachable, pings), {}, clock)
        gauges = self._telemetry.gauges
        gauges.queues = lambda: seen.last
        gauges.stores = lambda: stores.last
        self._observations = (seen, stores)

    async def _serve(self) -> None:
        settings, services = self._settings, self._services
        listener, self.rest_address = listen(settings.rest_address)
        self._stores.callback(listener.close)
        self._grpc = GrpcServer(services)
        self.grpc_address = await self._grpc.start(settings.grpc_address)
        telemetry = self._telemetry
        probes = probe_routes(telemetry.metrics, telemetry.lag.live, self._readiness.obstacle)
        self._rest = RestServer(services, probes)
        await self._rest.start(listener)

    async def _listen(self) -> None:
        async with self._hint_stream as stream:
            async for hint in stream:
                if isinstance(hint, TasksFinished) and self._waits.anyone:
                    self._waits.finished(hint.ids)

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
