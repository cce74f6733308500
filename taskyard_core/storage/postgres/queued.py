"""All QUEUED tasks, lane by lane: what the lanes should hold."""

from collections.abc import Collection, Mapping

from taskyard_core.storage.lanes import Entries, lane_entries
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load

_ALL = 2**31 - 1


class QueuedTasks:
    """The task table's QUEUED rows; see taskyard_core.storage.queued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lanes(self) -> list[str]:
        """Names of all lanes with QUEUED tasks."""
        return [row[0] for row in await self._database.fetch(load("queued_lanes"), "", _ALL)]

    async def pages(self, after: Mapping[str, str], limit: int) -> Entries:
        """Of each lane the tasks beyond an id, oldest first, at most `limit`; lanes without any are left out."""
        found = await self._database.fetch(load("queued_pages"), list(after), list(after.values()), limit)
        return lane_entries((row[0], str(row[1]), row[2]) for row in found)

    async def counts(self, before: str) -> dict[str, int]:
        """How many tasks with an id below `before` each lane has; lanes without any are left out."""
        return {row[0]: row[1] for row in await self._database.fetch(load("queued_counts"), before)}

    async def settled_counts(self, lanes: Collection[str], age: float) -> dict[str, int]:
        """How many tasks of each lane could have run for `age` seconds already."""
        return {row[0]: row[1] for row in await self._database.fetch(load("settled_counts"), list(lanes), age)}
