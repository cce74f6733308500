"""The domain's values as messages."""

from typing import Any

from google.protobuf.duration_pb2 import Duration

from taskyard_core.domain.task import Attempt, Outcome, RetryPolicy, Task, TaskError, TaskState
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
    return task_pb2.Task(
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
        run_at=times.timestamp(value.run_at) if value.run_at else None,
        expires_at=times.timestamp(value.expires_at) if value.expires_at else None,
        timeout=None if value.timeout is None else times.duration(value.timeout),
        started_at=times.timestamp(value.started_at) if value.started_at else None,
        finished_at=times.timestamp(value.finished_at) if value.finished_at else None,
        error=error(value.error) if value.error else None,
        progress=task_pb2.Progress(**plain(value.progress)) if value.progress else None,
    )


def attempt(value: Attempt) -> task_pb2.Attempt:
    """One run of a task."""
    others = {
        "started_at": times.timestamp(value.started_at),
        "finished_at": times.timestamp(value.finished_at) if value.finished_at else None,
        "outcome": _OUTCOMES[value.outcome] if value.outcome else task_pb2.ATTEMPT_OUTCOME_UNSPECIFIED,
        "error": error(value.error) if value.error else None,
    }
    return task_pb2.Attempt(**plain(value) | others)


def error(value: TaskError) -> task_pb2.TaskError:
    """Why an attempt or a task failed."""
    return task_pb2.TaskError(**plain(value))


def retry(value: RetryPolicy) -> task_pb2.RetryPolicy:
    """The policy's given fields."""
    # Written out, as `task` is: both are made for each task that is submitted.
    return task_pb2.RetryPolicy(
        max_attempts=value.max_attempts,
        initial_backoff=_duration(value.initial_backoff),
        multiplier=value.multiplier,
        max_backoff=_duration(value.max_backoff),
        jitter=value.jitter,
    )


def plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by their names, as they are."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _duration(value: float | None) -> Duration | None:
    return None if value is None else times.duration(value)
