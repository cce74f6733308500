"""Queues: their settings, and what waits in them."""

from collections import Counter
from collections.abc import Collection, Sequence

from scheduler.domain.demand import LaneLoad
from scheduler.domain.task import RetryPolicy, TaskState
from scheduler.storage import codec
from scheduler.storage.memory.postgres.client import Client
from scheduler.storage.memory.postgres.tables import QueueRow
from scheduler.storage.memory.postgres.work import Work
from scheduler.storage.queues import Backlog, Queue

_COUNTED = (TaskState.SCHEDULED, TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED)
_WAITING = (TaskState.SCHEDULED, TaskState.QUEUED)


class StoredQueues:
    """See scheduler.storage.queues."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self, namespace: str | None = None) -> list[Queue]:
        """All queues, or those of a namespace, by name."""
        return await self._client.run(lambda work: _all(work, namespace))

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""
        return next((queue for queue in await self.all(namespace) if queue.name == name), None)

    async def backlogs(self) -> Sequence[Backlog]:
        """What waits, of all queues."""
        return await self._client.run(_backlogs)

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""
        return await self._client.run(lambda work: [*_waiting(work, most), *_running(work)])

    async def retries(self) -> dict[tuple[str, str], RetryPolicy | None]:
        """What tasks take where they leave retry fields out, of queues that were told."""
        return await self._client.run(
            lambda work: {
                place: codec.load_retry(row.retry) for place, row in work.tables.queues.rows.items() if row.retry
            }
        )

    async def register(self, used: Collection[tuple[str, str]]) -> None:
        """Note (namespace, name) of queues that tasks were submitted to."""
        await self._client.run(lambda work: _register(work, sorted(used)))

    async def update(self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None) -> None:
        """Set what is given; the queue need not have been used yet."""
        await self._client.run(lambda work: _update(work, (namespace, name), retry, max_backlog))


def _all(work: Work, namespace: str | None) -> list[Queue]:
    rows = work.tasks(*_COUNTED)
    counts = Counter(((row.namespace, row.queue), row.state) for row in rows)
    oldest: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.state is TaskState.QUEUED:
            place = row.namespace, row.queue
            oldest[place] = min(row.run_at, oldest.get(place, row.run_at))
    places = sorted({*work.tables.queues.rows, *(place for place, _ in counts)})
    return [_queue(work, place, counts, oldest.get(place)) for place in places if namespace in (None, place[0])]


def _queue(
    work: Work, place: tuple[str, str], counts: Counter[tuple[tuple[str, str], TaskState]], oldest: float | None
) -> Queue:
    row = work.tables.queues.rows.get(place, QueueRow(*place))
    return Queue(
        namespace=place[0],
        name=place[1],
        scheduled=counts[place, TaskState.SCHEDULED],
        queued=counts[place, TaskState.QUEUED],
        running=counts[place, TaskState.RUNNING],
        failed=counts[place, TaskState.FAILED],
        oldest_age=None if oldest is None else max(0.0, work.time - oldest),
        retry=codec.load_retry(row.retry) or RetryPolicy(),
        max_backlog=row.max_backlog,
    )


def _backlogs(work: Work) -> list[Backlog]:
    waiting = Counter((row.namespace, row.queue) for row in work.tasks(*_WAITING))
    queues = work.tables.queues.rows
    return [
        Backlog(*place, waiting[place], queues.get(place, QueueRow(*place)).max_backlog)
        for place in sorted({*waiting, *queues})
    ]


def _waiting(work: Work, most: int) -> list[LaneLoad]:
    counts = Counter(row.lane for row in work.tasks(TaskState.QUEUED))
    return [LaneLoad(lane, counts[lane]) for lane in sorted(counts, key=lambda lane: (-counts[lane], lane))[:most]]


def _running(work: Work) -> list[LaneLoad]:
    taking = {row.id: row.record.labels for row in work.tables.sessions.rows.values() if row.live and not row.draining}
    counts = Counter(
        (row.lane, tuple(sorted(taking[row.session].items())))
        for row in work.tasks(TaskState.RUNNING)
        if row.session in taking
    )
    return [LaneLoad(lane, tasks, dict(labels)) for (lane, labels), tasks in counts.items()]


def _register(work: Work, used: Sequence[tuple[str, str]]) -> None:
    for place in used:
        if work.get(work.tables.queues, place) is None:
            work.put(work.tables.queues, place, QueueRow(*place))


def _update(work: Work, place: tuple[str, str], retry: RetryPolicy | None, max_backlog: int | None) -> None:
    row = work.get(work.tables.queues, place) or QueueRow(*place)
    work.put(
        work.tables.queues,
        place,
        row._replace(
            retry=codec.dump_retry(retry) if retry else row.retry,
            max_backlog=row.max_backlog if max_backlog is None else max_backlog,
        ),
    )
