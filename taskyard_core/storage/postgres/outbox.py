"""What must still reach the lanes."""

from collections import defaultdict
from collections.abc import Sequence

from taskyard_core.storage.outbox import Entries
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load


class Outbox:
    """The outbox table; see taskyard_core.storage.outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that are published."""
        await self._database.fetch(load("delete_outbox"), ids)

    async def stale(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Rows older than `age` seconds, and what they stand for."""
        found = await self._database.fetch(load("outbox_entries"), age, limit)
        return sorted({row[0] for row in found}), _by_lane(row[1:] for row in found if row[1] is not None)

    async def entries(self, task_ids: Sequence[str]) -> Entries:
        """Lane entries of those of the tasks that are QUEUED."""
        return _by_lane(await self._database.fetch(load("entries_of"), task_ids))

    async def backlog(self) -> tuple[int, float]:
        """Rows that wait, and the age of the oldest in seconds."""
        (row,) = await self._database.fetch(load("outbox_backlog"))
        return row[0], row[1]


async def delete_within(connection: Connection, ids: Sequence[int]) -> None:
    """Forget rows whose entries are in the lanes, in the connection's transaction."""
    await connection.execute(load("delete_outbox"), ids)


def _by_lane(rows: object) -> Entries:
    entries: Entries = defaultdict(list)
    for lane, task_id, attempt in rows:  # type: ignore[attr-defined]
        entries[lane].append((str(task_id), attempt))
    return dict(entries)
