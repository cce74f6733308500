"""What a scheduler's metrics show at a scrape."""

from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.observation import Observation, StoreHealth
from taskyard_core.runtime.pace import COUNTING
from taskyard_core.storage.queues import Queue
from taskyard_core.telemetry.backlog_series import BacklogSeries
from taskyard_core.telemetry.gauges import BacklogReading, QueueReading
from taskyard_core.telemetry.queue_series import DEPTHS, QueueSeries
from taskyard_scheduler.assembly import Assembly

_OBSERVED_QUEUES = 5000
"""Queues that metrics look at, those with most tasks first."""


class Readings:
    """Fills the gauges from what is looked up now and then."""

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts
        self._queue_series = QueueSeries()
        self._backlog_series = BacklogSeries()
        clock, stores, interval = SystemClock(), parts.stores, parts.settings.metrics_interval
        self.queues: Observation[list[QueueReading]] = Observation(self._depths, [], clock, interval, rest=COUNTING)
        self.backlogs: Observation[list[BacklogReading]] = Observation(
            self._waiting, [], clock, interval, rest=COUNTING
        )
        self.stores = StoreHealth(stores.probe.ping, stores.delivery.ping, stores.etcd.ping, clock)

    def show(self) -> None:
        """Give the gauges their callbacks."""
        gauges = self._parts.telemetry.gauges
        gauges.queues = lambda: self.queues.last
        gauges.backlogs = lambda: self.backlogs.last
        gauges.stores = lambda: self.stores.up

    async def _depths(self) -> list[QueueReading]:
        fullest = await self._parts.stores.lists.queues.fullest(_OBSERVED_QUEUES)
        return self._queue_series.show([_depth(queue) for queue in fullest])

    async def _waiting(self) -> list[BacklogReading]:
        await self._parts.backlogs.refresh()
        queues = [(depth.namespace, depth.queue) for depth in self.queues.last]
        return self._backlog_series.show(queues, self._parts.backlogs.by_selector())


def _depth(queue: Queue) -> QueueReading:
    depth = {state: getattr(queue, state.lower()) for state in DEPTHS}
    return QueueReading(queue.namespace, queue.name, depth, queue.oldest_age or 0.0)
