"""Queues: their settings, and what waits in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.domain.demand import LaneLoad
from scheduler.domain.task import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue with its counts by state; `oldest_age` is seconds that its oldest QUEUED task has been ready to run.

    `retry` is what tasks take where they leave retry fields out. A `max_backlog` of 0 means the cluster's limit.
    """

    namespace: str
    name: str
    scheduled: int = 0
    blocked: int = 0
    queued: int = 0
    running: int = 0
    failed: int = 0
    oldest_age: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_backlog: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many tasks wait in a queue, and how many may (0: the cluster's limit)."""

    namespace: str
    queue: str
    waiting: int
    limit: int


class StoredQueues(Protocol):
    """Queues that were used or set up. Every method raises StoreUnavailable."""

    async def all(self, namespace: str | None = None) -> list[Queue]:
        """All queues, or those of a namespace, by name."""

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""

    async def backlogs(self) -> Sequence[Backlog]:
        """What waits, of all queues."""

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""

    async def retries(self) -> dict[tuple[str, str], RetryPolicy | None]:
        """What tasks take where they leave retry fields out, by (namespace, name), of queues that were told."""

    async def register(self, used: Collection[tuple[str, str]]) -> None:
        """Note (namespace, name) of queues that tasks were submitted to."""

    async def update(self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None) -> None:
        """Set what is given; the queue need not have been used yet."""
