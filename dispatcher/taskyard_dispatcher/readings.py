"""What a dispatcher's metrics show at a scrape."""

from taskyard_core.runtime.observation import Observation, StoreHealth
from taskyard_core.telemetry.gauges import LeaderReading, OutboxReading, SizeReading, SlotsReading
from taskyard_dispatcher.assembly import Assembly

_NO_ROWS = OutboxReading(0, 0.0)


class Readings:
    """Fills the gauges, from memory and from what is looked up now and then."""

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts
        stores, interval = parts.stores, parts.settings.metrics_interval
        self.stores = StoreHealth(stores.probe.ping, stores.delivery.ping, stores.etcd.ping, parts.clock)
        self.etcd_size: Observation[SizeReading | None] = Observation(self._etcd_size, None, parts.clock, interval)
        self.outbox: Observation[OutboxReading] = Observation(self._backlog, _NO_ROWS, parts.clock, interval)

    def show(self) -> None:
        """Give the gauges their callbacks."""
        gauges = self._parts.telemetry.gauges
        gauges.sessions = lambda: len(self._parts.roster)
        gauges.slots = self._slots
        gauges.leader = self._leader
        gauges.outbox = lambda: self.outbox.last
        gauges.stores = lambda: self.stores.up
        gauges.etcd_size = lambda: self.etcd_size.last

    async def _backlog(self) -> OutboxReading:
        """The leader tells, so that a sum over all dispatchers is right."""
        if not self._parts.elector.is_leader:
            return _NO_ROWS
        return OutboxReading(*await self._parts.stores.tasks.queued.backlog())

    async def _etcd_size(self) -> SizeReading:
        """Every dispatcher tells: when etcd is full there is perhaps no leader."""
        return SizeReading(*await self._parts.stores.etcd.access.size())

    def _slots(self) -> SlotsReading:
        sessions = list(self._parts.roster)
        busy = sum(len(session.running) for session in sessions)
        return SlotsReading(total=sum(session.slots for session in sessions), busy=busy)

    def _leader(self) -> LeaderReading:
        known = self._parts.elector.leader
        return LeaderReading(leader=self._parts.elector.is_leader, term=known.term if known else 0)
