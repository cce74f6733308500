"""All QUEUED tasks, lane by lane: what the lanes should hold, and the outbox, which says what they do not hold yet."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from taskyard_core.storage.lanes import Entries, Page

ALL = 2**31 - 1


class QueuedTasks(Protocol):
    """The outbox's rows name QUEUED tasks; they are written with them, and deleted once the lanes have them.

    Every method raises StoreUnavailable.
    """

    async def lanes(self, position: str = "", limit: int = ALL) -> Page:
        """Names of lanes with QUEUED tasks from a position on, in order: at most `limit`, or all of them."""

    async def pages(self, after: Mapping[str, str], limit: int) -> Entries:
        """Of each lane the tasks beyond an id, oldest first, at most `limit`; lanes without any are left out."""

    async def counts(self, before: str) -> dict[str, int]:
        """How many tasks with an id below `before` each lane has; lanes without any are left out."""

    async def settled_counts(self, lanes: Collection[str], age: float) -> dict[str, int]:
        """How many tasks of each lane could have run for `age` seconds already."""

    async def published(self, ids: Sequence[int]) -> None:
        """Forget outbox rows whose tasks are in the lanes."""

    async def unpublished(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Outbox rows older than `age` seconds, and what they stand for."""

    async def backlog(self) -> tuple[int, float]:
        """Outbox rows that wait, and the age of the oldest in seconds."""
