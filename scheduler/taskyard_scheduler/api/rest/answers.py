"""The JSON documents of answers. Every field is always there; what does not apply is null.

Payloads and results go out as the bytes that came in. Dataclasses whose fields are those of the document are left to
orjson.
"""

from typing import Any

import orjson
from fastapi import Response

from taskyard_core.domain.task import Attempt, RetryPolicy, Task
from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord
from taskyard_core.storage.queues import Queue
from taskyard_core.storage.workers import Worker
from taskyard_scheduler.api.cluster import ClusterView
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.api.rest import problems
from taskyard_scheduler.api.rest.values import duration, rfc3339
from taskyard_scheduler.api.submissions import Accepted, AcceptedId
from taskyard_scheduler.api.tasks import Bulk

Json = dict[str, Any]


def response(document: Json, status: int = 200) -> Response:
    """The document as an answer."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def task(value: Task) -> Json:
    """The whole task."""
    return {
        "id": value.id,
        "namespace": value.namespace,
        "queue": value.queue,
        "type": value.type,
        "payload": _document(value.payload),
        "priority": value.priority,
        "selector": value.selector,
        "state": value.state,
        "attempt": value.attempt,
        "failures": value.failures,
        "crashes": value.crashes,
        "idempotency_key": value.idempotency_key,
        "run_at": rfc3339(value.run_at),
        "expires_at": rfc3339(value.expires_at),
        "timeout": duration(value.timeout),
        "retry": retry(value.retry),
        "depends_on": [],
        "result": None if value.result is None else _document(value.result),
        "error": value.error,
        "created_at": rfc3339(value.created_at),
        "started_at": rfc3339(value.started_at),
        "finished_at": rfc3339(value.finished_at),
        "worker": value.worker,
        "traceparent": value.traceparent,
        "cancel_requested": value.cancel_requested,
        "progress": value.progress,
    }


def _document(document: bytes) -> orjson.Fragment | None:
    """A payload or result as it came; null for one that is not JSON, which would spoil the whole answer."""
    try:
        orjson.loads(document)
    except ValueError:
        return None
    return orjson.Fragment(document)


def retry(value: RetryPolicy) -> Json:
    """How failures are retried; null where the default applies."""
    return {
        "max_attempts": value.max_attempts,
        "initial_backoff": duration(value.initial_backoff),
        "multiplier": value.multiplier,
        "max_backoff": duration(value.max_backoff),
        "jitter": value.jitter,
    }


def attempt(value: Attempt) -> Json:
    """One run of a task."""
    return {
        "task_id": value.task_id,
        "attempt": value.attempt,
        "session_id": value.session_id,
        "worker": value.worker,
        "pod": value.pod,
        "dispatcher": value.dispatcher,
        "started_at": rfc3339(value.started_at),
        "finished_at": rfc3339(value.finished_at),
        "outcome": value.outcome,
        "error": value.error,
    }


def result(outcome: Accepted | AcceptedId | Failure) -> Json:
    """What became of one task of a batch."""
    if isinstance(outcome, Failure):
        return {"error": problems.item_error(outcome)}
    if isinstance(outcome, AcceptedId):
        return {"task": {"id": outcome.id, "state": outcome.state}, "deduplicated": outcome.deduplicated}
    return {"task": task(outcome.task), "deduplicated": outcome.deduplicated}


def bulk(value: Bulk) -> Json:
    """What a bulk operation concerned."""
    return {"count": value.count, "ids": value.ids}


def queue(value: Queue) -> Json:
    """A queue with its counts."""
    return {
        "namespace": value.namespace,
        "name": value.name,
        "scheduled": value.scheduled,
        "blocked": value.blocked,
        "queued": value.queued,
        "running": value.running,
        "failed": value.failed,
        "oldest_age": duration(value.oldest_age),
        "retry": retry(value.retry),
        "max_backlog": value.max_backlog,
    }


def worker(value: Worker) -> Json:
    """A connected worker."""
    return {
        "session_id": value.session_id,
        "name": value.name,
        "namespace": value.namespace,
        "labels": dict(value.labels),
        "queues": list(value.queues),
        "types": list(value.types),
        "slots": value.slots,
        "running": value.running,
        "pod": value.pod,
        "dispatcher": value.dispatcher,
        "sdk": value.sdk,
        "pid": value.pid,
        "connected_at": rfc3339(value.connected_at),
        "draining": value.draining,
    }


def cluster(view: ClusterView) -> Json:
    """Leader and dispatchers."""
    return {
        "version": view.version,
        "leader": None if view.leader is None else _leader(view.leader),
        "dispatchers": [_dispatcher(found, leads=view.leads(found)) for found in view.dispatchers],
    }


def _leader(value: Candidate) -> Json:
    return {"id": value.dispatcher_id, "term": value.term, "pid": value.pid, "pod": value.pod}


def _dispatcher(value: DispatcherRecord, *, leads: bool) -> Json:
    return {
        "id": value.dispatcher_id,
        "pid": value.pid,
        "pod": value.pod,
        "session_address": value.session_address,
        "http_address": value.http_address,
        "version": value.version,
        "leader": leads,
        "started_at": rfc3339(value.started_at),
    }
