"""Queues: their settings, and what waits in them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from taskyard_core.domain.demand import LaneLoad
from taskyard_core.domain.task import RetryPolicy


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


Place = tuple[str, str]
"""A queue's namespace and name."""


class StoredQueues(Protocol):
    """Queues that were used or set up. Every method raises StoreUnavailable."""

    async def page(self, namespace: str | None, after: Place | None, limit: int) -> list[Queue]:
        """Queues by name, or those of a namespace: the first `limit` after one."""

    async def fullest(self, limit: int) -> list[Queue]:
        """The queues with most tasks that have not ended well, most first."""

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""

    async def waiting(self, most: int) -> Mapping[str, int]:
        """How many tasks wait, QUEUED or SCHEDULED, by lane; at most so many lanes."""

    async def limits(self) -> Mapping[Place, int]:
        """How many tasks may wait, of queues that were told."""

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""

    async def retries(self) -> dict[Place, RetryPolicy | None]:
        """What tasks take where they leave retry fields out, of queues that were told."""

    async def register(self, used: Collection[Place]) -> None:
        """Note that tasks were submitted to these queues now."""

    async def update(
        self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None, most: int
    ) -> bool:
        """Set what is given; the queue need not have been used yet. False if `most` others have settings already."""
