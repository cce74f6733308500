"""What is read at each scrape: the callbacks that the owner of a figure gives, and what they answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from taskyard_core.domain.task import TaskState


class QueueReading(NamedTuple):
    """A queue's depth by state and the age in seconds of the oldest task that could run, 0 if there is none."""

    namespace: str
    queue: str
    depth: Mapping[TaskState, int]
    oldest_seconds: float


class BacklogReading(NamedTuple):
    """How many tasks of a queue with one selector could run now if there were workers."""

    namespace: str
    queue: str
    selector: str
    tasks: int


class SlotsReading(NamedTuple):
    """Slots of all sessions of this process, and how many of them run something."""

    total: int
    busy: int


class LeaderReading(NamedTuple):
    """Whether this process leads, and the newest term that it knows."""

    leader: bool
    term: int


class OutboxReading(NamedTuple):
    """Rows (batches) not yet published and the age in seconds of the oldest, 0 if there is none."""

    rows: int
    oldest_seconds: float


class SizeReading(NamedTuple):
    """Bytes of etcd's database, and beyond how many it takes no more writes."""

    used: int
    quota: int


@dataclass(slots=True)
class Gauges:
    """The callbacks; one that nobody gave is not exported.

    They answer at once, from memory. They are called from other threads than the event loop's, so they must not
    iterate over what the loop changes: give a snapshot, or copy with `list()` first.
    """

    queues: Callable[[], Iterable[QueueReading]] | None = None
    backlogs: Callable[[], Iterable[BacklogReading]] | None = None
    sessions: Callable[[], int] | None = None
    slots: Callable[[], SlotsReading] | None = None
    leader: Callable[[], LeaderReading] | None = None
    outbox: Callable[[], OutboxReading] | None = None
    stores: Callable[[], Mapping[str, bool]] | None = None
    etcd_size: Callable[[], SizeReading | None] | None = None
    loop_lag: Callable[[], float] | None = None
