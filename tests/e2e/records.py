"""What Postgres, the only authority, says happened."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import asyncpg

COUNTS = "SELECT state, count(*) FROM taskyard.task WHERE id = ANY ($1::uuid[]) GROUP BY state"

TWICE = """
SELECT t.id, t.state, t.attempt, count(a.attempt) AS runs, count(*) FILTER (WHERE a.outcome = 'SUCCEEDED') AS successes
FROM taskyard.task t LEFT JOIN taskyard.attempt a ON a.task_id = t.id
WHERE t.id = ANY ($1::uuid[])
GROUP BY t.id
HAVING t.state <> 'SUCCEEDED' OR t.attempt <> 1 OR count(a.attempt) <> 1
    OR count(*) FILTER (WHERE a.outcome = 'SUCCEEDED') <> 1
"""

ENDS = "SELECT finished_at FROM taskyard.task WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL ORDER BY 1"


class Records:
    """Questions asked past the API, each over a connection of its own, since Postgres may have been killed."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of one statement."""
        connection = await asyncpg.connect(self._url, timeout=5)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def execute(self, script: str) -> None:
        """Runs statements without arguments."""
        connection = await asyncpg.connect(self._url, timeout=5)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def states(self, ids: Sequence[str]) -> dict[str, int]:
        """How many of the tasks are in each state."""
        return {row[0]: row[1] for row in await self.fetch(COUNTS, ids)}

    async def all_ended(self, ids: Sequence[str]) -> bool:
        """Whether each of the tasks has ended, however it did."""
        states = await self.states(ids)
        return sum(states.values()) == len(set(ids)) and not states.keys() & {"QUEUED", "RUNNING", "SCHEDULED"}

    async def not_once(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The tasks that did not succeed with their first and only attempt."""
        return [dict(row) for row in await self.fetch(TWICE, ids)]

    async def longest_pause(self, ids: Sequence[str], since: datetime, until: datetime) -> float:
        """The longest time between two endings of the tasks, in seconds, between two moments."""
        ends = [row[0] for row in await self.fetch(ENDS, ids)]
        marks = [since, *(end for end in ends if since < end < until), until]
        pauses: list[float] = [(later - earlier).total_seconds() for earlier, later in pairwise(marks)]
        return max(pauses)

    async def now(self) -> datetime:
        """The database's clock."""
        moment: datetime = (await self.fetch("SELECT clock_timestamp()"))[0][0]
        return moment
