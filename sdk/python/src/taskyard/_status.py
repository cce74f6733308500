"""From the server's refusals to the exceptions of `taskyard.errors`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_status import rpc_status

from taskyard._gen import task_service_pb2
from taskyard.errors import (
    AccessDenied,
    BacklogFull,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    ServerError,
    TaskyardError,
    Unavailable,
)

_NEVER_SENT = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "DNS resolution failed",
    "errors resolving ",
    "empty address list",
    "Name resolution failure",
)
"""How gRPC begins or explains an UNAVAILABLE of its own when no connection could carry the request."""

_OF_GRPC = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time: is it a scheduler's gRPC port?",
    grpc.StatusCode.UNIMPLEMENTED: "does not know this call: is it a scheduler's gRPC port, of this version or newer?",
}
"""What to say of a call that failed in gRPC's words, rather than in a scheduler's: a wrong port does that, too."""

TOO_LARGE = "MESSAGE_TOO_LARGE"
"""The reason of a ServerError whose answer, or whose request, is larger than the other side takes."""


@dataclass(slots=True)
class _Refusal:
    """A refusal, however it came: as the status of a call, or as the error of one item."""

    message: str
    reason: str = ""
    violations: tuple[FieldViolation, ...] = ()
    retry_after: timedelta | None = None
    task_id: str = ""
    never_sent: bool = False


def of_call(error: grpc.aio.AioRpcError, address: str) -> TaskyardError:
    """The exception for a call to the scheduler at `address` that failed."""
    details = error.details() or error.code().name
    refusal = _Refusal(details, never_sent=any(sign in details for sign in _NEVER_SENT))
    if status := _rich_status(error):
        _read_details(status, refusal)
    if refusal.never_sent:
        refusal.message = f"can't reach {address}: {details}"
    if not refusal.reason and (happened := _OF_GRPC.get(error.code())):
        refusal.message = f"{address} {happened} ({details})"
    if not refusal.reason and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        # gRPC's own word for a message that it won't take has nothing to do with backlogs.
        refusal.reason = TOO_LARGE
    build = _BY_REASON.get(refusal.reason) or _BY_CODE.get(error.code(), _server_error)
    return build(refusal)


def of_item(error: task_service_pb2.SubmitError) -> TaskyardError:
    """The exception for one task of a batch.

    The server names fields by the task's place in the request it saw, e.g. `tasks[3].priority`. Callers saw another
    request or none, so the place is taken off.
    """
    field = _without_place(error.field)
    message = error.message.replace(error.field, field) if error.field else error.message
    refusal = _Refusal(message, error.reason, task_id=error.task_id)
    if field:
        refusal.violations = (FieldViolation(field, message.removeprefix(f"{field}: ")),)
    if error.HasField("retry_after"):
        refusal.retry_after = error.retry_after.ToTimedelta()
    return _BY_REASON.get(error.reason, _server_error)(refusal)


def _without_place(path: str) -> str:
    if path.startswith("tasks["):
        return path.partition("].")[2] or "task"
    return path.removeprefix("task.")


def _rich_status(error: grpc.aio.AioRpcError) -> Status | None:
    try:
        return rpc_status.from_call(cast("grpc.Call", error))
    except (DecodeError, ValueError):
        # Something between us and the server garbled the details; code and message still tell what happened.
        return None


def _read_details(status: Status, refusal: _Refusal) -> None:
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            refusal.reason = info.reason
            refusal.task_id = info.metadata.get("task_id", "")
        elif detail.Unpack(bad):
            refusal.violations = tuple(
                FieldViolation(_without_place(violation.field), violation.description)
                for violation in bad.field_violations
            )
        elif detail.Unpack(retry):
            refusal.retry_after = retry.retry_delay.ToTimedelta()


def _invalid_argument(refusal: _Refusal) -> TaskyardError:
    named = "; ".join(map(str, refusal.violations))
    return InvalidArgument(
        named or refusal.message, violations=refusal.violations, reason=refusal.reason or "INVALID_ARGUMENT"
    )


def _not_found(refusal: _Refusal) -> TaskyardError:
    return NotFound(refusal.message, reason=refusal.reason or "NOT_FOUND")


def _idempotency_conflict(refusal: _Refusal) -> TaskyardError:
    return IdempotencyConflict(refusal.message, task_id=refusal.task_id)


def _failed_precondition(refusal: _Refusal) -> TaskyardError:
    return FailedPrecondition(refusal.message, reason=refusal.reason or "FAILED_PRECONDITION")


def _backlog_full(refusal: _Refusal) -> TaskyardError:
    return BacklogFull(refusal.message, retry_after=refusal.retry_after, reason=refusal.reason or "RESOURCE_EXHAUSTED")


def _access_denied(refusal: _Refusal) -> TaskyardError:
    return AccessDenied(refusal.message, reason=refusal.reason or "PERMISSION_DENIED")


def _unavailable(refusal: _Refusal) -> TaskyardError:
    return Unavailable(refusal.message, outcome_unknown=not refusal.never_sent, reason=refusal.reason or "UNAVAILABLE")


def _too_many_requests(refusal: _Refusal) -> TaskyardError:
    # Sent away before anything was carried out.
    return Unavailable(refusal.message, outcome_unknown=False, reason=refusal.reason)


def _deadline_exceeded(refusal: _Refusal) -> TaskyardError:
    return DeadlineExceeded(refusal.message, outcome_unknown=True)


def _server_error(refusal: _Refusal) -> TaskyardError:
    return ServerError(refusal.message, reason=refusal.reason)


_Build = Callable[[_Refusal], TaskyardError]

_BY_REASON: dict[str, _Build] = {
    "INVALID_ARGUMENT": _invalid_argument,
    "PAYLOAD_TOO_LARGE": _invalid_argument,
    "NOT_FOUND": _not_found,
    "IDEMPOTENCY_CONFLICT": _idempotency_conflict,
    "FAILED_PRECONDITION": _failed_precondition,
    "BACKLOG_FULL": _backlog_full,
    "TOO_MANY_REQUESTS": _too_many_requests,
    "TOO_MANY_LANES": _backlog_full,
    "UNAVAILABLE": _unavailable,
    TOO_LARGE: _server_error,
    "DEADLINE_EXCEEDED": _deadline_exceeded,
}

_BY_CODE: dict[grpc.StatusCode, _Build] = {
    grpc.StatusCode.INVALID_ARGUMENT: _invalid_argument,
    grpc.StatusCode.OUT_OF_RANGE: _invalid_argument,
    grpc.StatusCode.NOT_FOUND: _not_found,
    grpc.StatusCode.ALREADY_EXISTS: _idempotency_conflict,
    grpc.StatusCode.FAILED_PRECONDITION: _failed_precondition,
    grpc.StatusCode.ABORTED: _failed_precondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _backlog_full,
    grpc.StatusCode.UNAUTHENTICATED: _access_denied,
    grpc.StatusCode.PERMISSION_DENIED: _access_denied,
    grpc.StatusCode.UNAVAILABLE: _unavailable,
    # Nobody but the server or a closing channel cancels a call whose caller still waits for it.
    grpc.StatusCode.CANCELLED: _unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: _deadline_exceeded,
}
