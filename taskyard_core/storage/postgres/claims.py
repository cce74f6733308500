"""Claiming: the only way from QUEUED to RUNNING, and the only place where `attempt` rises."""

from collections.abc import Callable, Mapping, Sequence

from taskyard_core.domain.task import AttemptKey
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed, Head
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.retrying import retried


class Claims:
    """Claims batches for worker sessions; see taskyard_core.storage.claims."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
        """The bids that won, of sessions whose generation still holds; raises StoreUnavailable."""

        async def once() -> list[Claimed]:
            async with self._database.connection() as connection:
                return await _claim(connection, bids, generations)

        return await retried(once)

    async def claim_heads(
        self,
        quotas: Mapping[str, int],
        generations: Mapping[str, int],
        assign: Callable[[Sequence[Head]], Sequence[Bid]],
    ) -> list[Claimed]:
        """Claim straight from the tables while the lanes are away: at most `quotas[lane]` of each lane."""

        async def once() -> list[Claimed]:
            async with self._database.transaction("lane_heads", "claim") as connection:
                found = await connection.fetch(load("lane_heads"), list(quotas), list(quotas.values()))
                heads = [Head(str(row[0]), row[1], row[2]) for row in found]
                return await _claim(connection, assign(heads), generations)

        return await retried(once)

    async def still_queued(self, entries: Sequence[AttemptKey]) -> set[str]:
        """Ids of the (task, attempt) entries that still wait to be run."""
        ids, attempts = [task for task, _ in entries], [attempt for _, attempt in entries]
        return {str(row[0]) for row in await self._database.fetch(load("still_queued"), ids, attempts)}


async def _claim(connection: Connection, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
    if not bids:
        return []
    ids, attempts, sessions = zip(*bids, strict=True)
    used = list(dict.fromkeys(sessions))
    held = [generations[session] for session in used]
    found = await connection.fetch(load("claim"), ids, attempts, sessions, used, held, CLAIM_BYTES)
    return [Claimed(str(row[0]), row[1], str(row[2]), *row[3:]) for row in found]
