"""From what a handler returned or raised to the result that goes home."""

import asyncio
import traceback
from typing import Any

import orjson
from google.protobuf.duration_pb2 import Duration

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.session_state import Key

MAX_RESULT_BYTES = 1024 * 1024
MAX_STACK_BYTES = 16 * 1024
MAX_MESSAGE_BYTES = 4 * 1024
TIMEOUT = "TIMEOUT"
"""Error type of an attempt that ran longer than its task allows; retryable."""
RESULT_NOT_JSON = "RESULT_NOT_JSON"
RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
PROCESS_CRASHED = "PROCESS_CRASHED"
"""Error type of an attempt whose own process died; retryable."""
NO_HANDLER = "NO_HANDLER"

_NANOS = 1_000_000_000


class NonRetryable(Exception):
    """Raise it, or a subclass, when another attempt cannot help: the task fails at once."""


def encode(value: object) -> bytes | TaskError:
    """A handler's return value as JSON, or the error it fails with: another attempt would return the same."""
    try:
        encoded = orjson.dumps(value)
    except TypeError as error:
        return TaskError(type=RESULT_NOT_JSON, message=_text(error, MAX_MESSAGE_BYTES))
    if len(encoded) > MAX_RESULT_BYTES:
        message = f"the result is {len(encoded)} bytes of JSON; at most {MAX_RESULT_BYTES} are kept"
        return TaskError(type=RESULT_TOO_LARGE, message=message)
    return encoded


def decode(payload: bytes) -> Any:
    """A payload's value; an empty payload is null. Raises `NonRetryable` if it isn't JSON."""
    try:
        return orjson.loads(payload) if payload else None
    except orjson.JSONDecodeError as error:
        raise NonRetryable(f"the payload is not JSON: {error}") from error


def describe(error: BaseException, non_retryable: tuple[type[BaseException], ...] = ()) -> TaskError:
    """An exception as the scheduler keeps it. Its stack keeps the end, where the cause is."""
    stack = "".join(traceback.format_exception(error)).encode(errors="replace")
    return TaskError(
        type=type(error).__name__,
        message=_text(error, MAX_MESSAGE_BYTES),
        stack=stack[-MAX_STACK_BYTES:].decode(errors="ignore"),
        retryable=not isinstance(error, (NonRetryable, *non_retryable)),
    )


def _text(error: BaseException, limit: int) -> str:
    try:
        text = str(error)
    except Exception as broken:  # an exception whose own __str__ fails still has to be reported
        text = f"<{type(broken).__name__} in {type(error).__name__}.__str__>"
    return text.encode(errors="replace")[:limit].decode(errors="ignore")


def is_cancellation(error: BaseException) -> bool:
    """Whether the handler stopped as it does when it is told to."""
    return isinstance(error, asyncio.CancelledError)


def returned(key: Key, value: bytes | TaskError, run_nanos: int) -> wire.TaskResult:
    """The result for an encoded return value, or for the error that came of encoding it."""
    if isinstance(value, TaskError):
        return failed(key, value, run_nanos)
    return wire.TaskResult(task_id=key[0], attempt=key[1], result=value, run_time=_duration(run_nanos))


def failed(key: Key, error: TaskError, run_nanos: int) -> wire.TaskResult:
    """The result of an attempt that failed."""
    return wire.TaskResult(task_id=key[0], attempt=key[1], error=error, run_time=_duration(run_nanos))


def cancelled(key: Key, run_nanos: int) -> wire.TaskResult:
    """The result of an attempt that stopped because it was told to."""
    return wire.TaskResult(task_id=key[0], attempt=key[1], cancelled=True, run_time=_duration(run_nanos))


def _duration(nanos: int) -> Duration:
    return Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)
