"""What must still reach the lanes."""

from collections.abc import Sequence

from taskyard_core.storage.lanes import Entries, lane_entries
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
        return sorted({row[0] for row in found}), lane_entries((row[1], str(row[2]), row[3]) for row in found if row[1])

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
