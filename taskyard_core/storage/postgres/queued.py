"""All QUEUED tasks, lane by lane: what the lanes should hold, and the outbox, which says what they do not hold yet."""

from collections.abc import Collection, Mapping, Sequence

from taskyard_core.storage.lanes import Entries, Page, lane_entries
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.queued import ALL


class QueuedTasks:
    """The task table's QUEUED rows and the outbox; see taskyard_core.storage.queued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lanes(self, position: str = "", limit: int = ALL) -> Page:
        """Names of lanes with QUEUED tasks from a position on, in order: at most `limit`, or all of them."""
        names = [row[0] for row in await self._database.fetch(load("queued_lanes"), position, limit)]
        return Page(names, names[-1] if len(names) == limit else "")

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

    async def published(self, ids: Sequence[int]) -> None:
        """Forget outbox rows whose tasks are in the lanes."""
        await self._database.fetch(load("delete_outbox"), ids)

    async def unpublished(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Outbox rows older than `age` seconds, and what they stand for."""
        found = await self._database.fetch(load("outbox_entries"), age, limit)
        return sorted({row[0] for row in found}), lane_entries((row[1], str(row[2]), row[3]) for row in found if row[1])

    async def backlog(self) -> tuple[int, float]:
        """Outbox rows that wait, and the age of the oldest in seconds."""
        (row,) = await self._database.fetch(load("outbox_backlog"))
        return row[0], row[1]


async def published_within(connection: Connection, ids: Sequence[int]) -> None:
    """The same in the connection's transaction."""
    await connection.execute(load("delete_outbox"), ids)
