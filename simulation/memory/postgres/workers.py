"""Workers that have a session now."""

from collections import Counter
from datetime import UTC, datetime

import orjson

from simulation.memory.postgres.tables import SessionRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import digest, public_name
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.tasks import within_weight
from taskyard_core.storage.workers import Worker, WorkerPlace


def capabilities(work: Work) -> list[Capabilities]:
    """What workers that take tasks can do, each once."""
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


def page(
    work: Work, namespace: str | None, after: WorkerPlace | None, limit: int
) -> tuple[list[Worker], WorkerPlace | None]:
    """See taskyard_core.storage.sessions."""
    running = Counter(row.session for row in work.tasks(TaskState.RUNNING))
    live = (row for row in work.tables.sessions.rows.values() if row.live)
    placed = {_place(row): _worker(row, running[row.id]) for row in live if namespace in (None, row.record.namespace)}
    places = sorted(place for place in placed if after is None or place > after)
    shown = within_weight((place, len(orjson.dumps(placed[place]))) for place in places[:limit])
    return [placed[place] for place in shown], shown[-1] if len(shown) < len(places) else None


def _place(row: SessionRow) -> WorkerPlace:
    return row.record.namespace, row.record.worker, digest(row.id)


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
