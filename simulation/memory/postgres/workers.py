"""Workers that have a session now."""

from collections import Counter
from datetime import UTC, datetime

from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import SessionRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.workers import Worker


class LiveWorkers:
    """See taskyard_core.storage.workers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self, namespace: str | None = None) -> list[Worker]:
        """All workers, or those of a namespace."""
        return await self._client.run(lambda work: _all(work, namespace))

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many."""
        return await self._client.run(lambda work: _capabilities(work)[:most])


def _capabilities(work: Work) -> list[Capabilities]:
    said = {
        (
            row.record.namespace,
            frozenset(row.record.types),
            frozenset(row.record.queues),
            tuple(sorted(row.record.labels.items())),
        ): None
        for row in work.tables.sessions.rows.values()
        if row.live and not row.draining
    }
    return [Capabilities(namespace, types, queues, dict(labels)) for namespace, types, queues, labels in said]


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
