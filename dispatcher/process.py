"""The dispatcher role: wiring, start and orderly stop."""

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
import uvloop

from dispatcher.adoption import Adoption
from dispatcher.announcements import Announcements
from dispatcher.claiming import Claiming
from dispatcher.completion import Completion
from dispatcher.departure import Departure
from dispatcher.dispatching import Dispatching
from dispatcher.duties import Keeping, rota
from dispatcher.lanes import LaneBoard
from dispatcher.leadership import Candidate, ElectionTiming, Elector
from dispatcher.loss import Loss
from dispatcher.membership import DispatcherRecord, DispatcherRegistration, SessionRegistry
from dispatcher.presence import Presence
from dispatcher.progress import ProgressReports
from dispatcher.queues import QueueDefaults
from dispatcher.sessions import Roster
from dispatcher.settings import DispatcherSettings
from dispatcher.stream import SessionStreams
from dispatcher.upkeep import Upkeep
from scheduler.background import Background
from scheduler.clock import SystemClock
from scheduler.observation import Observation, Ping, reachable
from scheduler.publication import Publication
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.changes import Changes
from scheduler.storage.postgres.claims import Claims
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.outbox import Outbox
from scheduler.storage.postgres.sessions import Sessions
from scheduler.storage.redis.connection import connect
from scheduler.storage.redis.epoch import LaneEpoch
from scheduler.storage.redis.hint_stream import HintStream
from scheduler.storage.redis.hints import CancelRequested, Hints, LanesFilled
from scheduler.storage.redis.keys import Keys
from scheduler.storage.redis.lanes import LaneStore
from scheduler.telemetry import GrpcHealth, LeaderReading, OutboxReading, ProbeServer, SlotsReading, Telemetry
from scheduler.version import VERSION
from scheduler.wire.gen import worker_service_pb2_grpc

_log = logging.getLogger(__name__)

_SERVICE = "taskyard.v1.WorkerService"

_GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", 6 * 1024 * 1024),
    ("grpc.max_send_message_length", 6 * 1024 * 1024),
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
        self.id = f"{settings.pod_name}-{uuid.uuid4().hex[:8]}"
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._background = Background()

    async def run(self) -> None:
        """Serve until told to stop, then let the workers move elsewhere."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as stack:
            await self._open(stack)
            await self._start()
            _log.info("dispatcher ready", extra={"address": self._settings.session_address})
            await self._stop.wait()
            await self._drain()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        self._clock = SystemClock()
        self._telemetry = Telemetry.for_role("dispatcher", pod=settings.pod_name, id=self.id)
        stack.push_async_callback(self._telemetry.close)
        self._database = await Database.open(
            settings.postgres_url, application=self.id, connections=settings.postgres_connections
        )
        stack.push_async_callback(self._database.close)
        self._duty_database = await Database.open(settings.postgres_url, application=f"{self.id}-duties", connections=4)
        stack.push_async_callback(self._duty_database.close)
        self._redis = connect(settings.redis_url)
        stack.push_async_callback(self._redis.aclose)
        self._keys = Keys(settings.redis_prefix)
        self._etcd = await stack.enter_async_context(Etcd(settings.etcd))
        stack.push_async_callback(self._background.cancel)
        self._assemble()

    def _assemble(self) -> None:
        settings, clock = self._settings, self._clock
        lanes, hints = LaneStore(self._redis, self._keys), Hints(self._redis, self._keys)
        claims, changes, sessions = Claims(self._database), Changes(self._database), Sessions(self._database)
        self._queues = QueueDefaults(self._database)
        self._publication = Publication(lanes, Outbox(self._database))
        self._announcements = Announcements(hints)
        self._roster = Roster()
        board = LaneBoard(self._roster)
        self._registry = SessionRegistry(self._etcd, on_superseded=self._superseded)
        self._presence = Presence(self._registry)
        loss = Loss(
            database=self._database,
            sessions=sessions,
            changes=changes,
            publication=self._publication,
            announcements=self._announcements,
            telemetry=self._telemetry,
        )
        self._departure = Departure(self._roster, loss, self._presence, clock, settings.stream_grace)
        self._completion = Completion(
            changes=changes,
            publication=self._publication,
            announcements=self._announcements,
            queues=self._queues,
            telemetry=self._telemetry,
            clock=clock,
            slots_freed=self._wake.set,
        )
        claiming = Claiming(
            consumer=self.id,
            board=board,
            lanes=lanes,
            claims=claims,
            telemetry=self._telemetry,
            clock=clock,
            slots_freed=self._wake.set,
        )
        self._upkeep = Upkeep(
            roster=self._roster, sessions=sessions, completion=self._completion, queues=self._queues, clock=clock
        )
        self._dispatching = Dispatching(
            consumer=self.id,
            claiming=claiming,
            board=board,
            lanes=lanes,
            claims=claims,
            database=self._database,
            upkeep=self._upkeep,
            clock=clock,
            woken=self._wake,
        )
        self._progress = ProgressReports(changes, clock)
        self._streams = SessionStreams(
            dispatcher=self.id,
            settings=settings,
            roster=self._roster,
            adoption=Adoption(self.id, sessions, clock),
            completion=self._completion,
            departure=self._departure,
            presence=self._presence,
            progress=self._progress,
            sessions=sessions,
            clock=clock,
            arrived=lambda: self._open_lanes(board),
        )
        self._elector = Elector(
            self._etcd,
            Candidate(dispatcher_id=self.id, pid=os.getpid(), pod=settings.pod_name, address=self._advertised),
            timing=ElectionTiming(ttl=settings.leader_ttl),
        )
        self._rota = rota(
            self.id,
            database=self._duty_database,
            etcd=self._etcd,
            lanes=lanes,
            epoch=LaneEpoch(self._redis, self._keys),
            loss=loss,
            publication=self._publication,
            announce=self._announcements.finished,
            telemetry=self._telemetry,
            clock=clock,
            keeping=Keeping(settings.retention, settings.dead_letter_retention),
        )

    def _open_lanes(self, board: LaneBoard) -> None:
        board.wake_all()
        self._wake.set()

    @property
    def _advertised(self) -> str:
        return self._settings.advertised_address or self._settings.session_address

    async def _start(self) -> None:
        self._show_gauges()
        self._probes = ProbeServer(
            self._settings.http_address, self._telemetry.metrics, self._telemetry.lag.live, self._not_ready
        )
        await self._probes.start()
        self._health = GrpcHealth([_SERVICE])
        self._server = grpc.aio.server(options=_GRPC_OPTIONS)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self._streams, self._server)
        await self._health.register(self._server)
        if not self._server.add_insecure_port(self._settings.session_address):
            raise OSError(f"cannot listen on {self._settings.session_address}")
        await self._server.start()
        await self._health.serving(True)
        hints = HintStream(self._redis, self._keys, LanesFilled, CancelRequested)
        self._registration = DispatcherRegistration(self._etcd, self._record())
        for loop in (
            self._telemetry.lag.run(),
            self._registration.run(),
            self._registry.run(),
            self._dispatching.run(),
            self._dispatching.listen(hints),
            self._upkeep.run(),
            self._progress.run(),
            self._stores_seen.run(),
            self._outbox_seen.run(),
            self._elector.run(self._rota.run),
        ):
            self._background.start(_must_go_on(loop, self._stop))

    async def _drain(self) -> None:
        """Leave: first the leadership, then the workers, then what they still brought."""
        _log.info("dispatcher stops")
        await self._health.serving(False)
        self._departure.stop()
        self._streams.stop()
        await self._elector.resign()
        deadline = self._clock.monotonic() + self._settings.drain_timeout
        while any(session.connected for session in self._roster) and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.05)
        await self._streams.close()
        await self._publication.close()
        await self._announcements.close()
        await self._server.stop(grace=1)
        await self._departure.close()
        await self._probes.stop()

    def _superseded(self, session_id: str) -> None:
        """Another dispatcher has adopted it: a stream that is left here is half-open."""
        session = self._roster.get(session_id)
        if session is not None:
            session.connected = False
            self._roster.remove(session)

    async def _not_ready(self) -> str | None:
        if self._stop.is_set():
            return "shutting down"
        return None

    def _record(self) -> DispatcherRecord:
        return DispatcherRecord(
            dispatcher_id=self.id,
            pid=os.getpid(),
            pod=self._settings.pod_name,
            session_address=self._advertised,
            http_address=self._probes.address,
            version=VERSION,
            started_at=datetime.now(UTC).isoformat(),
        )

    def _show_gauges(self) -> None:
        gauges = self._telemetry.gauges
        gauges.sessions = lambda: len(self._roster)
        gauges.slots = self._slots
        gauges.leader = self._leadership
        gauges.outbox = lambda: self._outbox_seen.last
        gauges.stores = lambda: self._stores_seen.last
        pings: dict[str, Ping] = {
            "postgres": self._database.ping,
            "redis": LaneEpoch(self._redis, self._keys).current,
            "etcd": partial(self._etcd.kv.get, self._etcd.keys.config),
        }
        self._stores_seen: Observation[dict[str, bool]] = Observation(partial(reachable, pings), {}, self._clock)
        nothing = OutboxReading(0, 0.0)
        self._outbox_seen: Observation[OutboxReading] = Observation(self._backlog, nothing, self._clock)

    async def _backlog(self) -> OutboxReading:
        """The leader tells, so that a sum over all dispatchers is right."""
        if not self._elector.is_leader:
            return OutboxReading(0, 0.0)
        return OutboxReading(*await Outbox(self._database).backlog())

    def _slots(self) -> SlotsReading:
        sessions = list(self._roster)
        return SlotsReading(
            total=sum(session.slots for session in sessions), busy=sum(len(session.running) for session in sessions)
        )

    def _leadership(self) -> LeaderReading:
        term = self._elector.term
        return LeaderReading(leader=self._elector.is_leader, term=term.number if term else 0)


async def _must_go_on(loop: Coroutine[Any, Any, Any], stop: asyncio.Event) -> None:
    """A loop that fails takes the process with it: half a dispatcher is worse than none, and a new one soon starts."""
    try:
        await loop
    except Exception:
        _log.exception("a loop of the dispatcher failed")
        stop.set()
