"""From what a handler returned or raised to the result that goes home."""

import asyncio
import inspect
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration

from taskyard import _json
from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard._misfit import Misfit
from taskyard.definition import TaskDefinition
from taskyard.worker.session_state import Key

MAX_RESULT_BYTES = 1024 * 1024
MAX_STACK_BYTES = 16 * 1024
MAX_MESSAGE_BYTES = 4 * 1024
MAX_TYPE_BYTES = 256
TIMEOUT = "TIMEOUT"
"""Error type of an attempt that ran longer than its task allows; retryable."""
INVALID_PAYLOAD = "INVALID_PAYLOAD"
"""Error type of an attempt whose payload its handler cannot be given."""
RESULT_NOT_JSON = "RESULT_NOT_JSON"
RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
RESULT_TOO_DEEP = "RESULT_TOO_DEEP"
PROCESS_CRASHED = "PROCESS_CRASHED"
"""Error type of an attempt whose own process died; retryable."""
NO_HANDLER = "NO_HANDLER"
INVALID_RESULT = "INVALID_RESULT"
"""Error type of an attempt whose handler returned something else than its task's definition says."""

Definition = TaskDefinition[Any, Any]

_NANOS = 1_000_000_000


class NonRetryable(Exception):
    """Raise it, or a subclass, when another attempt cannot help: the task fails at once."""


class InvalidPayload(NonRetryable):
    """The payload is no JSON, or not what the task's definition says: no attempt will ever read it."""


def encode(value: object, definition: Definition | None = None) -> bytes | TaskError:
    """A handler's return value as JSON, or the error it fails with: another attempt would return the same."""
    try:
        encoded = _json.dumps(value if definition is None else definition.dump_result(value))
    except Misfit as misfit:
        return TaskError(type=INVALID_RESULT, message=_why_not_json(value) or f"result: {misfit}")
    except BaseException as error:  # code of the value's own may run, and raise anything
        return TaskError(type=RESULT_NOT_JSON, message=_why_not_json(value) or _message(error))
    if len(encoded) > MAX_RESULT_BYTES:
        message = f"the result is {len(encoded)} bytes of JSON; at most {MAX_RESULT_BYTES} are kept"
        return TaskError(type=RESULT_TOO_LARGE, message=message)
    if _json.too_deep(encoded):
        message = f"the result is nested deeper than {_json.MAX_DEPTH} levels"
        return TaskError(type=RESULT_TOO_DEEP, message=message)
    return encoded


def _why_not_json(value: object) -> str:
    if not inspect.iscoroutine(value):
        return ""
    value.close()
    return "the handler returned a coroutine: await it, or register the async function itself"


def decode(payload: bytes, definition: Definition | None = None) -> Any:
    """A payload's value; an empty payload is null. Raises `InvalidPayload` if it isn't JSON, or not what is defined."""
    try:
        value = _json.loads(payload) if payload else None
    except ValueError as error:
        raise InvalidPayload(f"the payload is not JSON: {error}") from error
    if definition is None:
        return value
    try:
        return definition.load_payload(value)
    except Misfit as misfit:
        raise InvalidPayload(f"payload: {misfit}") from misfit


_WORDS: dict[type[BaseException], str] = {InvalidPayload: INVALID_PAYLOAD}
"""Errors of the worker's own that go by a word of the protocol."""


def describe(error: BaseException, non_retryable: tuple[type[BaseException], ...] = ()) -> TaskError:
    """An exception as the scheduler keeps it. Its stack keeps the end, where the cause is.

    Never raises: of an exception whose own code fails, what can be told is told.
    """
    name = _attempted(lambda: _WORDS.get(type(error)) or type(error).__name__, lambda _: "Exception")
    return TaskError(
        type=_text(name, MAX_TYPE_BYTES) or "Exception",
        message=_message(error),
        stack=_stack(error),
        retryable=not _is_one_of(error, (NonRetryable, *non_retryable)),
    )


def _is_one_of(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    try:
        # Not isinstance: it asks the exception itself for its class.
        return issubclass(type(error), kinds)
    except BaseException:
        return False


def _message(error: BaseException) -> str:
    return _text(
        _attempted(
            lambda: str(error),
            lambda broken: f"<{type(broken).__name__} in {type(error).__name__}.__str__>",
        ),
        MAX_MESSAGE_BYTES,
    )


def _stack(error: BaseException) -> str:
    def untold(broken: BaseException) -> str:
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"{frames}<{type(broken).__name__} while formatting {type(error).__name__}>\n"

    whole = _attempted(lambda: _end_of(traceback.TracebackException.from_exception(error).format()), untold)
    kept = whole.encode(errors="replace")[-MAX_STACK_BYTES:]
    return kept.decode(errors="ignore")


def _end_of(lines: Iterable[str]) -> str:
    """The last characters of a text that may be far larger, as a message of hundreds of MiB makes it."""
    end = ""
    for line in lines:
        end = (end + line[-MAX_STACK_BYTES:])[-MAX_STACK_BYTES:]
    return end


def _attempted(tell: Callable[[], str], otherwise: Callable[[BaseException], str]) -> str:
    """What one of the two says, or nothing: an application's exceptions run code of their own, which may raise too."""
    try:
        # Joining makes it a str proper: one of a class of its own may behave in any way.
        return "".join([tell()])
    except BaseException as broken:
        try:
            return "".join([otherwise(broken)])
        except BaseException:
            return ""


def _text(whole: str, limit: int) -> str:
    return whole[:limit].encode(errors="replace")[:limit].decode(errors="ignore")


def is_cancellation(error: BaseException) -> bool:
    """Whether the handler stopped as it does when it is told to."""
    return issubclass(type(error), asyncio.CancelledError)


def is_final(error: BaseException) -> bool:
    """Whether the handler itself said that another attempt cannot help."""
    return issubclass(type(error), NonRetryable)


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
