"""Between claimed tasks and the messages of a session."""

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from taskyard_core.domain import lanes, limits, submission
from taskyard_core.domain.task import TaskError
from taskyard_core.domain.text import cut, cut_end
from taskyard_core.domain.transitions import Failed, Stopped, Succeeded
from taskyard_core.domain.violations import Violation
from taskyard_core.storage import codec
from taskyard_core.storage.claims import Claimed
from taskyard_core.wire import times
from taskyard_core.wire.gen.worker_service_pb2 import Assignment, Stop, StopReason, TaskResult


def assignment(task: Claimed, *, resent: bool = False) -> Assignment:
    """The message that hands a claimed task to its worker; raises Violation where its row has what cannot be run."""
    if task.payload is None:
        raise Violation("payload", f"more than {limits.PAYLOAD_BYTES} bytes")
    if task.retry is not None and codec.load_retry(task.retry) is None:
        raise Violation("retry", "cannot be read")
    lane = lanes.told(task.lane)
    message = Assignment(
        task_id=task.task_id,
        attempt=task.attempt,
        type=lane.type,
        payload=task.payload,
        queue=lane.queue,
        failures=task.failures,
        crashes=task.crashes,
        traceparent=task.traceparent or "",
        resent=resent,
    )
    if task.timeout is not None:
        message.timeout.CopyFrom(times.duration(submission.check_timeout(task.timeout)))
    if (created := _created_at(task.task_id)) is not None:
        message.created_at.CopyFrom(created)
    return message


def stop(task_id: str, attempt: int, reason: StopReason.ValueType) -> Stop:
    """The message that ends an attempt."""
    return Stop(task_id=task_id, attempt=attempt, reason=reason)


def _created_at(task_id: str) -> Timestamp | None:
    # The first 48 bits of a UUIDv7 are its milliseconds; another id can have any.
    milliseconds = int(task_id[:8] + task_id[9:13], 16)
    if milliseconds > _CALENDAR_END:
        return None
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


_CALENDAR_END = 253_402_300_799_999
"""Milliseconds of the last moment that a Timestamp may have."""


def event(result: TaskResult) -> Succeeded | Failed | Stopped:
    """What a worker's result says; raises Violation where it breaks a rule."""
    kind = result.WhichOneof("outcome")
    if kind == "result":
        document = result.result or b"null"
        return Succeeded(submission.check_json("result", document, orjson.loads, limits.RESULT_BYTES))
    if kind == "error":
        return Failed(_error(result))
    if kind == "cancelled":
        if not result.cancelled:
            raise Violation("cancelled", "must be true")
        return Stopped()
    raise Violation("outcome", "is required")


def _error(result: TaskResult) -> TaskError:
    error = result.error
    return TaskError(
        cut(error.type, limits.ERROR_TYPE_LENGTH) or "Error",
        cut(error.message, limits.ERROR_MESSAGE_LENGTH),
        cut_end(error.stack, limits.ERROR_STACK_LENGTH),
        error.retryable,
    )
