"""Workers that have a session now."""

from collections import Counter
from datetime import UTC, datetime

from scheduler.domain.session_names import public_name
from scheduler.domain.task import TaskState
from scheduler.storage.memory.postgres.client import Client
from scheduler.storage.memory.postgres.tables import SessionRow
from scheduler.storage.memory.postgres.work import Work
from scheduler.storage.workers import Worker


class LiveWorkers:
    """See scheduler.storage.workers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self, namespace: str | None = None) -> list[Worker]:
        """All workers, or those of a namespace."""
        return await self._client.run(lambda work: _all(work, namespace))


def _all(work: Work, namespace: str | None) -> list[Worker]:
    running = Counter(row.session for row in work.tasks(TaskState.RUNNING))
    rows = [row for row in work.tables.sessions.rows.values() if row.live and namespace in (None, row.record.namespace)]
    return [
        _worker(row, running[row.id])
        for row in sorted(rows, key=lambda row: (row.record.namespace, row.record.worker, row.id))
    ]


def _worker(row: SessionRow, running: int) -> Worker:
    record = row.record
    return Worker(
        session_id=public_name(row.id),
        name=record.worker,
        namespace=record.namespace,
        labels=dict(record.labels),
        queues=list(record.queues),
        types=list(record.types),
        slots=record.slots,
        running=running,
        pod=record.pod,
        dispatcher=record.dispatcher,
        sdk=record.sdk,
        pid=record.pid,
        connected_at=datetime.fromtimestamp(row.connected_at, UTC),
        draining=row.draining,
    )
