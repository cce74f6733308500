"""Queues: their settings, and what waits in them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import QueueRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.demand import LaneLoad
from taskyard_core.domain.task import RetryPolicy, TaskState
from taskyard_core.storage import codec
from taskyard_core.storage.queues import Place, Queue

_COUNTED = (TaskState.SCHEDULED, TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED)
_WAITING = (TaskState.SCHEDULED, TaskState.QUEUED)


class StoredQueues:
    """See taskyard_core.storage.queues."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def page(self, namespace: str | None, after: Place | None, limit: int) -> list[Queue]:
        """Queues by name, or those of a namespace: the first `limit` after one."""

        def read(work: Work) -> list[Queue]:
            return [queue for queue in _all(work, namespace) if after is None or _place(queue) > after][:limit]

        return await self._client.run(read)

    async def fullest(self, limit: int) -> list[Queue]:
        """The queues with most tasks that have not ended well, most first."""
        return (await self._client.run(lambda work: sorted(_all(work, None), key=_tasks, reverse=True)))[:limit]

    async def get(self, namespace: str, name: str) -> Queue | None:
        """One queue, or None if nobody ever used it."""
        found = await self._client.run(lambda work: _all(work, namespace))
        return next((queue for queue in found if queue.name == name), None)

    async def waiting(self, most: int) -> Mapping[str, int]:
        """How many tasks wait, QUEUED or SCHEDULED, by lane; at most so many lanes."""
        counts = await self._client.run(lambda work: Counter(row.lane for row in work.tasks(*_WAITING)))
        return dict(sorted(counts.items())[:most])

    async def limits(self) -> Mapping[Place, int]:
        """How many tasks may wait, of queues that were told."""
        return await self._client.run(
            lambda work: {p: row.max_backlog for p, row in work.tables.queues.rows.items() if row.max_backlog}
        )

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        """What waits in the fullest lanes, at most so many, and what workers that take tasks run; of one moment."""
        return await self._client.run(lambda work: [*_waiting(work, most), *_running(work)])

    async def retries(self) -> dict[Place, RetryPolicy | None]:
        """What tasks take where they leave retry fields out, of queues that were told."""
        return await self._client.run(
            lambda work: {
                place: codec.load_retry(row.retry) for place, row in work.tables.queues.rows.items() if row.retry
            }
        )

    async def register(self, used: Collection[Place]) -> None:
        """Note that tasks were submitted to these queues now."""
        await self._client.run(lambda work: _register(work, sorted(used)))

    async def update(
        self, namespace: str, name: str, retry: RetryPolicy | None, max_backlog: int | None, most: int
    ) -> bool:
        """Set what is given; the queue need not have been used yet. False if `most` others have settings already."""
        return await self._client.run(lambda work: _update(work, (namespace, name), retry, max_backlog, most))


def _all(work: Work, namespace: str | None) -> list[Queue]:
    rows = work.tasks(*_COUNTED)
    counts = Counter(((row.namespace, row.queue), row.state) for row in rows)
    oldest: dict[Place, float] = {}
    for row in rows:
        if row.state is TaskState.QUEUED:
            place = row.namespace, row.queue
            oldest[place] = min(row.run_at, oldest.get(place, row.run_at))
    places = sorted({*work.tables.queues.rows, *(place for place, _ in counts)})
    return [_queue(work, place, counts, oldest.get(place)) for place in places if namespace in (None, place[0])]


def _queue(work: Work, place: Place, counts: Counter[tuple[Place, TaskState]], oldest: float | None) -> Queue:
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


def _place(queue: Queue) -> Place:
    return queue.namespace, queue.name


def _tasks(queue: Queue) -> int:
    return queue.scheduled + queue.queued + queue.running + queue.failed


def delete_unused_within(work: Work, age: float, limit: int) -> int:
    """Forget queues without settings that nobody has used for `age` seconds, at most `limit`; returns how many."""
    table = work.tables.queues
    unused = sorted(
        place
        for place, row in table.rows.items()
        if row.used_at < work.time - age and row.retry is None and not row.max_backlog
    )
    locked = [place for place in unused if work.try_lock(table, place)][:limit]
    for place in locked:
        work.put(table, place, None)
    return len(locked)


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


def _register(work: Work, used: Sequence[Place]) -> None:
    for place in used:
        row = work.get(work.tables.queues, place) or QueueRow(*place)
        work.put(work.tables.queues, place, row._replace(used_at=work.time))


def _update(work: Work, place: Place, retry: RetryPolicy | None, max_backlog: int | None, most: int) -> bool:
    row = work.get(work.tables.queues, place) or QueueRow(*place, used_at=work.time)
    told = [other for other in work.tables.queues.rows.values() if other.retry or other.max_backlog]
    if len(told) >= most and row not in told:
        return False
    document = codec.dump_retry(retry) if retry else row.retry
    updated = row._replace(
        retry=None if document == "{}" else document,
        max_backlog=row.max_backlog if max_backlog is None else max_backlog,
    )
    work.put(work.tables.queues, place, updated)
    return True
