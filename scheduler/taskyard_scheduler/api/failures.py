"""Why a request is refused: one vocabulary for both transports."""

from collections.abc import Mapping
from enum import StrEnum

import grpc

from taskyard_core.domain import limits
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime import unforeseen
from taskyard_core.storage.unavailable import StoreUnavailable

DOMAIN = "taskyard"
"""Of every ErrorInfo."""

_STORE_RETRY_SECONDS = 1.0
_CROWD_RETRY_SECONDS = 1.0


class Reason(StrEnum):
    """A stable word to branch on; `code` is its gRPC status, `http` its HTTP status."""

    code: grpc.StatusCode
    http: int

    def __new__(cls, word: str, code: grpc.StatusCode, http: int) -> "Reason":
        """A word with its statuses."""
        reason = str.__new__(cls, word)
        reason._value_, reason.code, reason.http = word, code, http
        return reason

    INVALID_ARGUMENT = ("INVALID_ARGUMENT", grpc.StatusCode.INVALID_ARGUMENT, 400)
    # Not RESOURCE_EXHAUSTED, which clients take for a reason to try again.
    PAYLOAD_TOO_LARGE = ("PAYLOAD_TOO_LARGE", grpc.StatusCode.INVALID_ARGUMENT, 413)
    UNSUPPORTED_MEDIA_TYPE = ("UNSUPPORTED_MEDIA_TYPE", grpc.StatusCode.INVALID_ARGUMENT, 415)
    NOT_FOUND = ("NOT_FOUND", grpc.StatusCode.NOT_FOUND, 404)
    METHOD_NOT_ALLOWED = ("METHOD_NOT_ALLOWED", grpc.StatusCode.UNIMPLEMENTED, 405)
    IDEMPOTENCY_CONFLICT = ("IDEMPOTENCY_CONFLICT", grpc.StatusCode.ALREADY_EXISTS, 409)
    FAILED_PRECONDITION = ("FAILED_PRECONDITION", grpc.StatusCode.FAILED_PRECONDITION, 409)
    BACKLOG_FULL = ("BACKLOG_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED, 429)
    TOO_MANY_REQUESTS = ("TOO_MANY_REQUESTS", grpc.StatusCode.RESOURCE_EXHAUSTED, 429)
    CROSS_SITE = ("CROSS_SITE", grpc.StatusCode.PERMISSION_DENIED, 403)
    UNKNOWN_HOST = ("UNKNOWN_HOST", grpc.StatusCode.PERMISSION_DENIED, 421)
    TOO_MANY_LANES = ("TOO_MANY_LANES", grpc.StatusCode.RESOURCE_EXHAUSTED, 429)
    UNAVAILABLE = ("UNAVAILABLE", grpc.StatusCode.UNAVAILABLE, 503)
    INTERNAL = ("INTERNAL", grpc.StatusCode.INTERNAL, 500)


class Failure(Exception):
    """A refused request. `retry_after` is seconds after which trying again can help, None where it cannot."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations
        self.retry_after = retry_after
        self.metadata = metadata or {}


def invalid(*violations: Violation) -> Failure:
    """Fields break rules; the first of them are named."""
    violations = violations[: limits.VIOLATIONS]
    return Failure(Reason.INVALID_ARGUMENT, "; ".join(map(str, violations)), violations=violations)


def too_large(field: str, most: int) -> Failure:
    """More bytes than are allowed."""
    violation = Violation(field, f"more than {most} bytes")
    return Failure(Reason.PAYLOAD_TOO_LARGE, str(violation), violations=(violation,))


def no_task(task_id: str) -> Failure:
    """Nobody knows a task of that id."""
    return Failure(Reason.NOT_FOUND, f"no task has the id {task_id}", metadata={"task_id": task_id})


def conflict(key: str | None, first_task_id: str) -> Failure:
    """The idempotency key belongs to a task of another content."""
    message = f"idempotency_key: {key!r} was used for another request, by task {first_task_id}"
    return Failure(Reason.IDEMPOTENCY_CONFLICT, message, metadata={"task_id": first_task_id})


def wrong_state(task_id: str, state: TaskState, wanted: str) -> Failure:
    """The task is in a state in which that cannot be done."""
    metadata = {"task_id": task_id, "state": state.value}
    return Failure(Reason.FAILED_PRECONDITION, f"task {task_id} is {state}, {wanted}", metadata=metadata)


def backlog_full(namespace: str, queue: str, limit: int, retry_after: float) -> Failure:
    """As many tasks wait in the queue as may."""
    message = f"queue: {queue!r} of namespace {namespace!r} has its limit of {limit} waiting tasks"
    metadata = {"namespace": namespace, "queue": queue, "limit": str(limit)}
    return Failure(Reason.BACKLOG_FULL, message, retry_after=retry_after, metadata=metadata)


def too_many(what: str) -> Failure:
    """There is too much under way at once; nothing of the request was carried out."""
    return Failure(Reason.TOO_MANY_REQUESTS, f"{what}, try again", retry_after=_CROWD_RETRY_SECONDS)


def too_many_lanes(namespace: str, limit: int, retry_after: float) -> Failure:
    """The task would make one combination too many of namespace, queue, type, priority and selector."""
    message = (
        "lane: tasks of so many combinations of queue, type, priority and selector wait already that no further one is "
        f"taken for namespace {namespace!r} unless a connected worker serves it (max_lanes is {limit})"
    )
    metadata = {"namespace": namespace, "limit": str(limit)}
    return Failure(Reason.TOO_MANY_LANES, message, retry_after=retry_after, metadata=metadata)


def shutting_down() -> Failure:
    """This process ends; another one can serve the request."""
    return Failure(Reason.UNAVAILABLE, "this scheduler is shutting down", retry_after=0.1)


def from_error(error: BaseException) -> Failure:
    """The failure that an exception means to a client; what nobody foresaw is logged and told without details."""
    match error:
        case Failure():
            return error
        case Violation():
            return invalid(error)
        case StoreUnavailable():
            metadata = {"store": error.store}
            # What the driver said may tell of addresses and users; it is in the log of whoever shows the store's state.
            message = f"{error.store} is unavailable"
            return Failure(Reason.UNAVAILABLE, message, retry_after=_STORE_RETRY_SECONDS, metadata=metadata)
        case _:
            return Failure(Reason.INTERNAL, unforeseen.told(error))
