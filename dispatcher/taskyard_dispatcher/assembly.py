"""How the parts of a dispatcher hang together."""

import asyncio
import math
import os
import socket
from datetime import UTC, datetime
from functools import cached_property, partial

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.runtime.address import Address
from taskyard_core.runtime.clock import Clock
from taskyard_core.runtime.service import Part
from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import CancelRequested, LanesFilled
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.version import VERSION
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.loop import Dispatching
from taskyard_dispatcher.dispatch.outages import Outages
from taskyard_dispatcher.dispatch.pipeline import Claiming
from taskyard_dispatcher.dispatch.sources import LaneSource, TableSource
from taskyard_dispatcher.duties import Keeping, Patience, Rota, rota
from taskyard_dispatcher.gateway.adoption import Adoption
from taskyard_dispatcher.gateway.grace import Grace
from taskyard_dispatcher.gateway.hello_rates import HelloRates
from taskyard_dispatcher.gateway.presence import Presence
from taskyard_dispatcher.gateway.reception import Reception
from taskyard_dispatcher.gateway.stream import SessionStreams
from taskyard_dispatcher.leadership import ElectionTiming, Elector
from taskyard_dispatcher.membership import DispatcherRegistration, Profiles, SessionRegistry
from taskyard_dispatcher.membership.vouching import Vouching, VouchingTiming
from taskyard_dispatcher.outcomes.completion import Completion
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.outcomes.progress import ProgressReports
from taskyard_dispatcher.outcomes.queues import QueueDefaults
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.outcomes.upkeep import Upkeep
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores


class Assembly:
    """Every part of one dispatcher; what needs others is made when first asked for. `id` names this run."""

    def __init__(
        self, id: str, settings: DispatcherSettings, stores: Stores, telemetry: Telemetry, clock: Clock
    ) -> None:
        self.id = id
        self.settings = settings
        self.stores = stores
        self.telemetry = telemetry
        self.clock = clock
        self.roster = Roster()
        self.board = LaneBoard(self.roster)
        self.outages = Outages()
        self.queues = QueueDefaults(stores.tasks.queues)
        self.woken = asyncio.Event()
        self.http_address = settings.http_address

    @property
    def advertised_address(self) -> str:
        """host:port that workers reach; by this host's name where the session address is any of its own."""
        address = Address.parse(self.settings.advertised_address or self.settings.session_address)
        return str(Address(socket.gethostname(), address.port) if address.everywhere else address)

    @cached_property
    def hints(self) -> HintStream:
        """What others hint."""
        return self.stores.delivery.listen(LanesFilled, CancelRequested)

    @cached_property
    def aftermath(self) -> Aftermath:
        """What follows a commit."""
        return Aftermath.over(self.stores.delivery, self.stores.tasks.queued, self.telemetry)

    @cached_property
    def registry(self) -> SessionRegistry:
        """Session leases in etcd."""
        ttl = math.ceil(self.settings.session_timeout)
        return SessionRegistry(self.stores.etcd, ttl=ttl, on_superseded=self._superseded)

    @cached_property
    def registration(self) -> DispatcherRegistration:
        """This dispatcher's entry in etcd."""
        record = DispatcherRecord(
            dispatcher_id=self.id,
            pid=os.getpid(),
            pod=self.settings.pod_name,
            session_address=self.advertised_address,
            http_address=self.http_address,
            version=VERSION,
            started_at=datetime.fromtimestamp(self.clock.time(), UTC),
        )
        return DispatcherRegistration(self.stores.etcd, record, ttl=math.ceil(self.settings.session_timeout))

    @cached_property
    def vouching(self) -> Vouching:
        """Answers for the sessions here, and spreads them."""
        return Vouching(
            dispatcher=self.id,
            pod=self.settings.pod_name,
            address=self.advertised_address,
            # Apart from the hot path, behind which it would be late.
            sessions=self.stores.duties.sessions,
            roster=self.roster,
            loss=self.loss,
            registration=self.registration,
            leading=lambda: self.elector.leading,
            clock=self.clock,
            timing=VouchingTiming.for_sessions(self.settings.session_timeout, self.settings.stream_grace),
            fresh=self.settings.session_timeout,
        )

    @cached_property
    def presence(self) -> Presence:
        """Tells etcd which sessions are here."""
        return Presence(self.registry, self.profiles)

    @cached_property
    def profiles(self) -> Profiles:
        """What workers are, in etcd."""
        return Profiles(self.stores.etcd)

    @cached_property
    def loss(self) -> Loss:
        """Gives sessions up."""
        return Loss(self.stores.tasks, self.aftermath, self.settings.crashes_allowed)

    @cached_property
    def grace(self) -> Grace:
        """What workers have to come back."""
        settings = self.settings
        grace, patience = settings.stream_grace, settings.session_timeout
        return Grace(self.roster, self.loss, self.presence, self.clock, grace=grace, patience=patience)

    @cached_property
    def completion(self) -> Completion:
        """Outcomes."""
        return Completion(
            changes=self.stores.tasks.changes,
            aftermath=self.aftermath,
            queues=self.queues,
            telemetry=self.telemetry,
            clock=self.clock,
            slots_freed=self.woken.set,
        )

    @cached_property
    def handover(self) -> Handover:
        """From claimed tasks to workers."""
        return Handover(self.completion)

    @cached_property
    def resending(self) -> Resending:
        """What sessions lack."""
        return Resending(self.stores.tasks.sessions, self.handover, self.clock)

    @cached_property
    def claiming(self) -> Claiming:
        """From claims to sessions."""
        return Claiming(
            handover=self.handover,
            resending=self.resending,
            telemetry=self.telemetry,
            clock=self.clock,
            outages=self.outages,
        )

    @cached_property
    def from_lanes(self) -> LaneSource:
        """What waits in Redis."""
        return LaneSource(
            consumer=self.id,
            board=self.board,
            lanes=self.stores.delivery.lanes,
            changes=self.stores.tasks.changes,
            claiming=self.claiming,
            clock=self.clock,
            slots_freed=self.woken.set,
        )

    @cached_property
    def upkeep(self) -> Upkeep:
        """Level-triggered checks."""
        return Upkeep(
            roster=self.roster,
            sessions=self.stores.tasks.sessions,
            resending=self.resending,
            completion=self.completion,
            queues=self.queues,
            clock=self.clock,
            stop_grace=self.settings.stop_grace,
        )

    @cached_property
    def dispatching(self) -> Dispatching:
        """The loop that keeps sessions busy."""
        return Dispatching(
            from_lanes=self.from_lanes,
            from_tables=TableSource(self.stores.tasks.changes, self.claiming, self.clock),
            outages=self.outages,
            board=self.board,
            lanes=self.stores.delivery.lanes,
            queued=self.stores.tasks.queued,
            transactions=self.stores.tasks,
            upkeep=self.upkeep,
            clock=self.clock,
            woken=self.woken,
            timing=self.settings.dispatch,
        )

    @cached_property
    def progress(self) -> ProgressReports:
        """Progress of handlers."""
        return ProgressReports(self.stores.tasks.changes, self.clock)

    @cached_property
    def reception(self) -> Reception:
        """What workers report."""
        return Reception(self.completion, self.progress, self.clock, self.settings.heartbeat_interval)

    @cached_property
    def streams(self) -> SessionStreams:
        """Workers' streams."""
        return SessionStreams(
            dispatcher=self.id,
            settings=self.settings,
            roster=self.roster,
            adoption=Adoption(self.id, self.stores.tasks.sessions, self.handover, HelloRates(self.clock), self.clock),
            reception=self.reception,
            grace=self.grace,
            presence=self.presence,
            sessions=self.stores.tasks.sessions,
            clock=self.clock,
            arrived=self.woken.set,
        )

    @cached_property
    def elector(self) -> Elector:
        """Stands for election."""
        candidate = Candidate(
            dispatcher_id=self.id, pid=os.getpid(), pod=self.settings.pod_name, address=self.advertised_address
        )
        return Elector(self.stores.etcd, candidate, timing=ElectionTiming(ttl=self.settings.leader_ttl))

    @cached_property
    def rota(self) -> Rota:
        """The leader's duties."""
        return rota(
            self.id,
            store=self.stores.duties,
            etcd=self.stores.etcd,
            lanes=self.stores.delivery.lanes,
            epoch=self.stores.delivery.epoch,
            loss=self.loss,
            aftermath=self.aftermath,
            clock=self.clock,
            keeping=Keeping(self.settings.retention, self.settings.dead_letter_retention),
            patience=Patience.for_leases(self.settings.session_timeout),
            timing=self.settings.duties,
        )

    def in_order(self, door: Part) -> tuple[Part, ...]:
        """All that starts, in that order; it stops in the reverse one. `door` lets workers in."""
        return (
            Part("aftermath", stop=self.aftermath.close),
            Part("session registry", run=self.registry.run),
            Part("profiles", run=self.profiles.run),
            Part("presence", stop=self.presence.close),
            Part("registration", run=self.registration.run),
            Part("vouching", run=self.vouching.run, stop=self.vouching.withdraw),
            Part("grace", stop=self.grace.close),
            Part("handover", stop=self.handover.close),
            Part("claims", stop=self.from_lanes.close),
            Part("upkeep", run=self.upkeep.run),
            Part("progress", run=self.progress.run),
            Part("hints", run=partial(self.dispatching.listen, self.hints)),
            Part("dispatching", run=self.dispatching.run),
            Part("streams", stop=self.streams.close),
            door,
            Part("workers", stop=self._until_workers_left, patience=self.settings.drain_timeout),
            Part("elector", run=partial(self.elector.run, self.rota.run), stop=self.elector.resign),
            Part("welcome", stop=self._send_workers_on),
        )

    async def _send_workers_on(self) -> None:
        self.vouching.leave()
        self.streams.stop()

    async def _until_workers_left(self) -> None:
        deadline = self.clock.monotonic() + self.settings.drain_timeout
        while any(session.connected for session in self.roster) and self.clock.monotonic() < deadline:
            await self.clock.sleep(0.05)

    def _superseded(self, session_id: str) -> None:
        # The registry is there before the presence, which needs it.
        self.presence.moved(session_id)
        self.roster.adopted_elsewhere(session_id)
