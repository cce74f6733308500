"""All QUEUED tasks, lane by lane."""

from collections.abc import Collection, Iterable, Mapping

from simulation.memory.postgres.claims import queued_lanes
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.lanes import Entries


class QueuedTasks:
    """See taskyard_core.storage.queued."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def lanes(self) -> list[str]:
        """Names of all lanes with QUEUED tasks."""
        return await self._client.run(queued_lanes)

    async def pages(self, after: Mapping[str, str], limit: int) -> Entries:
        """Of each lane the tasks beyond an id, oldest first, at most `limit`; lanes without any are left out."""
        return await self._client.run(lambda work: _pages(work, after, limit))

    async def counts(self, before: str) -> dict[str, int]:
        """How many tasks with an id below `before` each lane has; lanes without any are left out."""
        return await self._client.run(
            lambda work: _by_lane(row for row in work.tasks(TaskState.QUEUED) if row.id < before)
        )

    async def settled_counts(self, lanes: Collection[str], age: float) -> dict[str, int]:
        """How many tasks of each lane could have run for `age` seconds already."""
        return await self._client.run(lambda work: _settled(work, lanes, age))


def _pages(work: Work, after: Mapping[str, str], limit: int) -> Entries:
    pages: Entries = {lane: [] for lane in sorted(after)}
    for row in sorted(work.tasks(TaskState.QUEUED)):
        page = pages.get(row.lane)
        if page is not None and row.id > after[row.lane] and len(page) < limit:
            page.append((row.id, row.attempt))
    return {lane: page for lane, page in pages.items() if page}


def _settled(work: Work, lanes: Collection[str], age: float) -> dict[str, int]:
    before = work.time - age
    counts = _by_lane(row for row in work.tasks(TaskState.QUEUED) if row.run_at < before)
    return {lane: counts.get(lane, 0) for lane in lanes}


def _by_lane(rows: Iterable[TaskRow]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.lane] = counts.get(row.lane, 0) + 1
    return counts
