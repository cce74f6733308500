"""All QUEUED tasks, lane by lane."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from simulation.memory.postgres import outbox
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.lanes import Entries, Page
from taskyard_core.storage.queued import ALL


class QueuedTasks:
    """See taskyard_core.storage.queued."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def lanes(self, position: str = "", limit: int = ALL) -> Page:
        """Names of lanes with QUEUED tasks from a position on, in order: at most `limit`, or all of them."""
        lanes = await self._client.run(lambda work: {row.lane for row in work.tasks(TaskState.QUEUED)})
        names = sorted(name for name in lanes if name > position)[:limit]
        return Page(names, names[-1] if len(names) == limit else "")

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

    async def published(self, ids: Sequence[int]) -> None:
        """Forget rows that are published."""
        await self._client.run(lambda work: outbox.delete_within(work, ids))

    async def unpublished(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Rows older than `age` seconds, and what they stand for."""
        return await self._client.run(lambda work: outbox.stale(work, age, limit))

    async def backlog(self) -> tuple[int, float]:
        """Rows that wait, and the age of the oldest in seconds."""
        return await self._client.run(outbox.backlog)


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
