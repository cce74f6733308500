"""The dispatcher's path of outcomes, over a task store of a test's choice."""

import asyncio
import itertools

from dispatcher.announcements import Announcements
from dispatcher.completion import Completion
from dispatcher.endings import Endings
from dispatcher.queues import QueueDefaults
from scheduler.clock import SystemClock
from scheduler.publication import Publication
from scheduler.storage.memory.redis import MemoryDelivery, RedisServer
from scheduler.storage.store import TaskStore
from scheduler.telemetry import Telemetry


def completion(store: TaskStore) -> Completion:
    """As a dispatcher has it; what it publishes goes to lanes of its own."""
    words = (f"word{number}" for number in itertools.count())
    delivery = MemoryDelivery(RedisServer(asyncio.get_running_loop().time, lambda: next(words)))
    telemetry = Telemetry.silent()
    return Completion(
        changes=store.changes,
        endings=Endings(Publication(delivery.lanes, store.outbox), Announcements(delivery.hints), telemetry),
        queues=QueueDefaults(store.queues),
        telemetry=telemetry,
        clock=SystemClock(),
        slots_freed=lambda: None,
    )
