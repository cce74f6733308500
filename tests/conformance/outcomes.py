"""The dispatcher's path of outcomes, over a task store of a test's choice."""

import asyncio
import itertools

from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.store import TaskStore
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.outcomes.completion import Completion
from taskyard_dispatcher.outcomes.queues import QueueDefaults


def completion(store: TaskStore) -> Completion:
    """As a dispatcher has it; what it publishes goes to lanes of its own."""
    words = (f"word{number}" for number in itertools.count())
    delivery = MemoryDelivery(RedisServer(asyncio.get_running_loop().time, lambda: next(words)))
    telemetry = Telemetry.silent()
    return Completion(
        changes=store.changes,
        aftermath=Aftermath(Publication(delivery.lanes, store.queued), Announcements(delivery.hints), telemetry),
        queues=QueueDefaults(store.queues),
        telemetry=telemetry,
        clock=SystemClock(),
        slots_freed=lambda: None,
    )
