"""Between claimed tasks and the messages of a session."""

import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from scheduler.domain import limits, submission
from scheduler.domain.task import TaskError
from scheduler.domain.transitions import Failed, Stopped, Succeeded
from scheduler.domain.violations import Violation
from scheduler.storage.claims import Claimed
from scheduler.wire.gen.worker_service_pb2 import Assignment, Stop, StopReason, TaskResult


def assignment(task: Claimed, *, resent: bool = False) -> Assignment:
    """The message that hands a claimed task to its worker."""
    _, queue, type_, _ = task.lane.split("/", 3)
    message = Assignment(
        task_id=task.task_id,
        attempt=task.attempt,
        type=type_,
        payload=task.payload,
        queue=queue,
        failures=task.failures,
        crashes=task.crashes,
        traceparent=task.traceparent or "",
        created_at=_created_at(task.task_id),
        resent=resent,
    )
    if task.timeout is not None:
        message.timeout.CopyFrom(duration(task.timeout))
    return message


def stop(task_id: str, attempt: int, reason: StopReason.ValueType) -> Stop:
    """The message that ends an attempt."""
    return Stop(task_id=task_id, attempt=attempt, reason=reason)


def duration(seconds: float) -> Duration:
    """Seconds as a protobuf duration."""
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _created_at(task_id: str) -> Timestamp:
    # The first 48 bits of a UUIDv7 are its milliseconds.
    milliseconds = int(task_id[:8] + task_id[9:13], 16)
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def event(result: TaskResult) -> Succeeded | Failed | Stopped:
    """What a worker's result says; raises Violation where it breaks a rule."""
    kind = result.WhichOneof("outcome")
    if kind == "result":
        document = result.result or b"null"
        return Succeeded(submission.check_json("result", document, orjson.loads, limits.RESULT_BYTES))
    if kind == "error":
        return Failed(_error(result))
    if kind == "cancelled":
        return Stopped()
    raise Violation("outcome", "is required")


def _error(result: TaskResult) -> TaskError:
    error = result.error
    return TaskError(
        error.type[: limits.ERROR_TYPE_LENGTH] or "Error",
        error.message[: limits.ERROR_MESSAGE_LENGTH],
        error.stack[-limits.ERROR_STACK_LENGTH :],
        error.retryable,
    )
