"""All QUEUED tasks, lane by lane: what the lanes should hold."""

from collections.abc import Collection, Mapping
from typing import Protocol

from taskyard_core.storage.lanes import Entries


class QueuedTasks(Protocol):
    """Every method raises StoreUnavailable."""

    async def lanes(self) -> list[str]:
        """Names of all lanes with QUEUED tasks."""

    async def pages(self, after: Mapping[str, str], limit: int) -> Entries:
        """Of each lane the tasks beyond an id, oldest first, at most `limit`; lanes without any are left out."""

    async def counts(self, before: str) -> dict[str, int]:
        """How many tasks with an id below `before` each lane has; lanes without any are left out."""

    async def settled_counts(self, lanes: Collection[str], age: float) -> dict[str, int]:
        """How many tasks of each lane could have run for `age` seconds already."""
