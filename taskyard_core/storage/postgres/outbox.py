"""What must still reach the lanes."""

from collections import defaultdict
from collections.abc import Sequence

from taskyard_core.storage.outbox import Entries
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load


class Outbox:
    """The outbox table; see taskyard_core.storage.outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that are published."""
        await self._database.fetch("DELETE FROM taskyard.outbox WHERE id = ANY ($1::bigint[])", ids)

    async def stale(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Rows older than `age` seconds, and what they stand for."""
        found = await self._database.fetch(load("outbox_entries"), age, limit)
        return sorted({row[0] for row in found}), _by_lane(row[1:] for row in found if row[1] is not None)

    async def entries(self, task_ids: Sequence[str]) -> Entries:
        """Lane entries of those of the tasks that are QUEUED."""
        return _by_lane(await self._database.fetch(load("entries_of"), task_ids))

    async def page(self, lane: str, after: str, limit: int) -> list[tuple[str, int]]:
        """QUEUED tasks of a lane beyond an id, oldest first."""
        return [(str(row[0]), row[1]) for row in await self._database.fetch(load("queued_page"), lane, after, limit)]

    async def backlog(self) -> tuple[int, float]:
        """Rows that wait, and the age of the oldest in seconds."""
        row = (
            await self._database.fetch(
                "SELECT count(*), coalesce(extract(epoch FROM"
                " now() - min(least(greatest(created_at, 'epoch'), now()))), 0)::float8 FROM taskyard.outbox"
            )
        )[0]
        return row[0], row[1]


def _by_lane(rows: object) -> Entries:
    entries: Entries = defaultdict(list)
    for lane, task_id, attempt in rows:  # type: ignore[attr-defined]
        entries[lane].append((str(task_id), attempt))
    return dict(entries)
