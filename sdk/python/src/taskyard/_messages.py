"""From the wire's messages to the public models."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from taskyard import _json, models
from taskyard._gen import cluster_service_pb2, queue_service_pb2, task_pb2

T = TypeVar("T")


def task(message: task_pb2.Task) -> models.Task:
    """The model of a task."""
    return models.Task(
        id=message.id,
        namespace=message.namespace,
        queue=message.queue,
        type=message.type,
        payload=_json.decode(message.payload, "payload"),
        priority=message.priority,
        selector=message.selector,
        state=state(message.state),
        attempt=message.attempt,
        failures=message.failures,
        crashes=message.crashes,
        idempotency_key=message.idempotency_key,
        run_at=_moment(message, "run_at"),
        expires_at=_moment(message, "expires_at"),
        timeout=_span(message, "timeout"),
        retry=_part(message, "retry", _retry),
        depends_on=tuple(message.depends_on),
        result=_json.decode(message.result, "result"),
        error=_part(message, "error", _error),
        created_at=_moment(message, "created_at"),
        started_at=_moment(message, "started_at"),
        finished_at=_moment(message, "finished_at"),
        worker=message.worker,
        traceparent=message.traceparent,
        cancel_requested=message.cancel_requested,
        progress=_part(message, "progress", _progress),
    )


_STATES: dict[int, models.TaskState] = {
    number: models.TaskState[name.removeprefix("TASK_STATE_")]
    for name, number in task_pb2.TaskState.items()
    if name != "TASK_STATE_UNSPECIFIED"
}
_OUTCOMES: dict[int, models.AttemptOutcome] = {
    number: models.AttemptOutcome[name.removeprefix("ATTEMPT_OUTCOME_")]
    for name, number in task_pb2.AttemptOutcome.items()
    if name != "ATTEMPT_OUTCOME_UNSPECIFIED"
}


def state(number: int) -> models.TaskState:
    """The state with this number on the wire; UNKNOWN if a newer server has more of them."""
    return _STATES.get(number, models.TaskState.UNKNOWN)


def attempt(message: task_pb2.Attempt) -> models.Attempt:
    """The model of one run."""
    return models.Attempt(
        task_id=message.task_id,
        attempt=message.attempt,
        session_id=message.session_id,
        worker=message.worker,
        pod=message.pod,
        dispatcher=message.dispatcher,
        started_at=_moment(message, "started_at"),
        finished_at=_moment(message, "finished_at"),
        outcome=_OUTCOMES.get(message.outcome, models.AttemptOutcome.UNKNOWN) if message.outcome else None,
        error=_part(message, "error", _error),
    )


def queue(message: queue_service_pb2.Queue) -> models.Queue:
    """The model of a queue."""
    return models.Queue(
        namespace=message.namespace,
        name=message.name,
        scheduled=message.scheduled,
        blocked=message.blocked,
        queued=message.queued,
        running=message.running,
        failed=message.failed,
        oldest_age=_span(message, "oldest_age"),
        retry=_part(message, "retry", _retry),
        max_backlog=message.max_backlog,
    )


def worker(message: cluster_service_pb2.Worker) -> models.WorkerInfo:
    """The model of a connected worker."""
    return models.WorkerInfo(
        session_id=message.session_id,
        name=message.name,
        namespace=message.namespace,
        labels=dict(message.labels),
        queues=tuple(message.queues),
        types=tuple(message.types),
        slots=message.slots,
        running=message.running,
        pod=message.pod,
        dispatcher=message.dispatcher,
        sdk=message.sdk,
        pid=message.pid,
        connected_at=_moment(message, "connected_at"),
        draining=message.draining,
    )


def cluster(message: cluster_service_pb2.Cluster) -> models.Cluster:
    """The model of the cluster's members."""
    return models.Cluster(
        version=message.version,
        leader=_part(message, "leader", _leader),
        dispatchers=tuple(map(_dispatcher, message.dispatchers)),
    )


def _leader(message: cluster_service_pb2.Leader) -> models.Leader:
    return models.Leader(id=message.id, term=message.term, pid=message.pid, pod=message.pod)


def _dispatcher(message: cluster_service_pb2.Dispatcher) -> models.Dispatcher:
    return models.Dispatcher(
        id=message.id,
        pid=message.pid,
        pod=message.pod,
        session_address=message.session_address,
        http_address=message.http_address,
        version=message.version,
        leader=message.leader,
        started_at=_moment(message, "started_at"),
    )


def _retry(message: task_pb2.RetryPolicy) -> models.RetryPolicy:
    return models.RetryPolicy(
        max_attempts=message.max_attempts if message.HasField("max_attempts") else None,
        initial_backoff=_span(message, "initial_backoff"),
        multiplier=message.multiplier if message.HasField("multiplier") else None,
        max_backoff=_span(message, "max_backoff"),
        jitter=message.jitter if message.HasField("jitter") else None,
    )


def _error(message: task_pb2.TaskError) -> models.TaskError:
    return models.TaskError(
        type=message.type, message=message.message, stack=message.stack, retryable=message.retryable
    )


def _progress(message: task_pb2.Progress) -> models.Progress:
    return models.Progress(fraction=message.fraction, message=message.message)


def _part(message: Message, field: str, convert: Callable[[Any], T]) -> T | None:
    return convert(getattr(message, field)) if message.HasField(field) else None


def _moment(message: Message, field: str) -> datetime | None:
    """The time, or the nearest that Python has: one that can't be shown as it is doesn't hide the rest."""
    if not message.HasField(field):
        return None
    moment: Timestamp = getattr(message, field)
    try:
        return moment.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return (datetime.max if moment.seconds > 0 else datetime.min).replace(tzinfo=UTC)


def _span(message: Message, field: str) -> timedelta | None:
    if not message.HasField(field):
        return None
    span: Duration = getattr(message, field)
    try:
        return span.ToTimedelta()
    except (ValueError, OverflowError):
        return timedelta.max if span.seconds > 0 else timedelta.min
