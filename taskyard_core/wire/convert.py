"""The domain's values as messages."""

from taskyard_core.domain.task import Attempt, Outcome, Progress, RetryPolicy, Task, TaskError, TaskState
from taskyard_core.domain.violations import Violation
from taskyard_core.wire import times
from taskyard_core.wire.gen import task_pb2

STATES = {state: task_pb2.TaskState.Value(f"TASK_STATE_{state}") for state in TaskState}
_STATES_BACK: dict[int, TaskState] = {number: state for state, number in STATES.items()}
_OUTCOMES = {outcome: task_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{outcome}") for outcome in Outcome}


def state(number: int) -> TaskState | None:
    """The state of an enum's number, None for the unspecified one; raises Violation for an unknown one."""
    if number and number not in _STATES_BACK:
        raise Violation("state", f"{number} is not a state")
    return _STATES_BACK.get(number)


def task(value: Task) -> task_pb2.Task:
    """The whole task."""
    message = task_pb2.Task(
        id=value.id,
        namespace=value.namespace,
        queue=value.queue,
        type=value.type,
        payload=value.payload,
        priority=value.priority,
        selector=value.selector,
        state=STATES[value.state],
        attempt=value.attempt,
        failures=value.failures,
        crashes=value.crashes,
        idempotency_key=value.idempotency_key or "",
        retry=retry(value.retry),
        result=value.result or b"",
        created_at=times.timestamp(value.created_at),
        worker=value.worker or "",
        traceparent=value.traceparent or "",
        cancel_requested=value.cancel_requested,
    )
    _add_times(message, value)
    if value.error is not None:
        message.error.CopyFrom(error(value.error))
    if value.progress is not None:
        message.progress.CopyFrom(progress(value.progress))
    return message


def attempt(value: Attempt) -> task_pb2.Attempt:
    """One run of a task."""
    return task_pb2.Attempt(
        task_id=value.task_id,
        attempt=value.attempt,
        session_id=value.session_id,
        worker=value.worker,
        pod=value.pod,
        dispatcher=value.dispatcher,
        started_at=times.timestamp(value.started_at),
        finished_at=times.timestamp(value.finished_at) if value.finished_at else None,
        outcome=_OUTCOMES[value.outcome] if value.outcome else task_pb2.ATTEMPT_OUTCOME_UNSPECIFIED,
        error=error(value.error) if value.error else None,
    )


def error(value: TaskError) -> task_pb2.TaskError:
    """Why an attempt or a task failed."""
    return task_pb2.TaskError(type=value.type, message=value.message, stack=value.stack, retryable=value.retryable)


def retry(value: RetryPolicy) -> task_pb2.RetryPolicy:
    """The policy's given fields."""
    return task_pb2.RetryPolicy(
        max_attempts=value.max_attempts,
        initial_backoff=None if value.initial_backoff is None else times.duration(value.initial_backoff),
        multiplier=value.multiplier,
        max_backoff=None if value.max_backoff is None else times.duration(value.max_backoff),
        jitter=value.jitter,
    )


def progress(value: Progress) -> task_pb2.Progress:
    """How far a handler says it has come."""
    return task_pb2.Progress(fraction=value.fraction, message=value.message)


def _add_times(message: task_pb2.Task, value: Task) -> None:
    if value.run_at is not None:
        message.run_at.CopyFrom(times.timestamp(value.run_at))
    if value.expires_at is not None:
        message.expires_at.CopyFrom(times.timestamp(value.expires_at))
    if value.timeout is not None:
        message.timeout.CopyFrom(times.duration(value.timeout))
    if value.started_at is not None:
        message.started_at.CopyFrom(times.timestamp(value.started_at))
    if value.finished_at is not None:
        message.finished_at.CopyFrom(times.timestamp(value.finished_at))
