"""All QUEUED tasks, lane by lane: what the lanes should hold."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from taskyard_core.storage.outbox import Entries
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load

_ALL = 2**31 - 1


class QueuedTasks:
    """The task table's QUEUED rows; see taskyard_core.storage.queued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lanes(self) -> list[str]:
        """Names of all lanes with QUEUED tasks."""
        return await lanes_after(self._database, "", _ALL)

    async def pages(self, after: Mapping[str, str], limit: int) -> Entries:
        """Of each lane the tasks beyond an id, oldest first, at most `limit`; lanes without any are left out."""
        entries: Entries = defaultdict(list)
        for lane, task_id, attempt in await self._database.fetch(
            load("queued_pages"), list(after), list(after.values()), limit
        ):
            entries[lane].append((str(task_id), attempt))
        return dict(entries)

    async def counts(self, before: str) -> dict[str, int]:
        """How many tasks with an id below `before` each lane has; lanes without any are left out."""
        return {row[0]: row[1] for row in await self._database.fetch(load("queued_counts"), before)}

    async def settled_counts(self, lanes: Collection[str], age: float) -> dict[str, int]:
        """How many tasks of each lane could have run for `age` seconds already."""
        return {row[0]: row[1] for row in await self._database.fetch(load("settled_counts"), list(lanes), age)}


async def lanes_after(database: Database, lane: str, limit: int) -> list[str]:
    """Names of lanes with QUEUED tasks beyond one, at most `limit`."""
    return [row[0] for row in await database.fetch(load("queued_lanes"), lane, limit)]
