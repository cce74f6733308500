"""From what a caller asks for to the wire's messages.

Only what can't be expressed is refused here, naming the field; all rules about values are the server's.
"""

import math
import uuid
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration as DurationMessage
from google.protobuf.timestamp_pb2 import Timestamp

from taskyard import _json, models
from taskyard._gen import task_pb2, task_service_pb2
from taskyard.errors import FieldViolation, InvalidArgument


def task_spec(request: models.TaskRequest, namespace: str, traceparent: str) -> task_pb2.TaskSpec:
    """What goes over the wire for one task; raises InvalidArgument naming the field that can't be sent."""
    if not isinstance(request, models.TaskRequest):
        raise _violation("task", f"must be a TaskRequest, got {type(request).__name__}")
    payload = _json.encode(request.payload)
    if isinstance(request.depends_on, str | bytes):
        raise _violation("depends_on", "must be a sequence of ids, not text")
    try:
        # Most tasks have few of the options, and each keyword costs: the others are set only where they are given.
        type_, queue = text("type", request.type), text("queue", request.queue)
        spec = task_pb2.TaskSpec(type=type_, payload=payload, namespace=namespace, queue=queue)
        if request.priority is not None:
            spec.priority = request.priority
        if request.selector:
            spec.selector = text("selector", request.selector)
        if request.idempotency_key is not None:
            if request.idempotency_key == "":
                raise _violation("idempotency_key", "must not be empty; leave it out for none")
            spec.idempotency_key = text("idempotency_key", request.idempotency_key)
        if request.depends_on:
            spec.depends_on.extend(text("depends_on", id) for id in request.depends_on)
        if traceparent:
            spec.traceparent = traceparent
    except (TypeError, ValueError) as error:
        raise _unsendable(request, namespace, error) from error
    _set_times(spec, request)
    return spec


def _set_times(spec: task_pb2.TaskSpec, request: models.TaskRequest) -> None:
    if request.delay is not None:
        spec.delay.CopyFrom(duration("delay", request.delay))
    if request.run_at is not None:
        spec.run_at.CopyFrom(timestamp("run_at", request.run_at))
    if request.expires_at is not None:
        spec.expires_at.CopyFrom(timestamp("expires_at", request.expires_at))
    if request.timeout is not None:
        spec.timeout.CopyFrom(duration("timeout", request.timeout))
    if request.retry is not None:
        spec.retry.CopyFrom(_retry_message(request.retry))


_ID_LENGTH = 64
"""More than any id has."""
_NOT_TEXT = ("priority", "depends_on")


def _not_text(value: object) -> str:
    if isinstance(value, str):
        return "is not text that UTF-8 can express"
    return f"must be text, got {type(value).__name__}"


def text(field: str, value: str) -> str:
    """The value; raises InvalidArgument naming `field` if it isn't text: protobuf takes bytes for it, too."""
    if not isinstance(value, str):
        raise _violation(field, _not_text(value))
    return value


def task_id(value: str | uuid.UUID) -> str:
    """A task's id as servers write it, since answers are told apart by it; raises InvalidArgument if it isn't text, or
    would spoil the stream that waits for other tasks share.

    Other text that is no UUID is left to the server to refuse.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    try:
        return str(uuid.UUID(text("id", value)))
    except InvalidArgument:
        raise
    except ValueError:
        if len(value) > _ID_LENGTH or not value.isascii():
            raise _violation("id", f"{ascii(value)[:80]} is not a UUID") from None
        return value.lower()


def seconds(field: str, value: models.Duration) -> float:
    """A length of time to wait; raises InvalidArgument naming `field` if it isn't one."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        # Not float(), which takes text, too.
        length = math.fsum((value,))
    except (TypeError, ValueError, OverflowError) as error:
        raise _violation(field, f"must be a number of seconds or a timedelta, got {type(value).__name__}") from error
    if math.isnan(length):
        raise _violation(field, "must be a number of seconds, got NaN")
    return length


def _unsendable(request: models.TaskRequest, namespace: str, error: Exception) -> InvalidArgument:
    """Find which field the message refused, since protobuf's own errors don't always say."""
    values = {name: getattr(request, name) for name in ("type", "queue", "priority", "selector", "idempotency_key")}
    values |= {"depends_on": request.depends_on, "namespace": namespace}
    for name, value in values.items():
        arguments: dict[str, Any] = {name: value}
        try:
            task_pb2.TaskSpec(**arguments)
        except (TypeError, ValueError) as cause:
            return _violation(name, _not_text(value) if name not in _NOT_TEXT else str(cause))
    return InvalidArgument(str(error))


def duration(field: str, value: models.Duration) -> DurationMessage:
    """The message for a length of time; raises InvalidArgument naming `field` if it isn't one."""
    message = DurationMessage()
    try:
        message.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    except (TypeError, ValueError, OverflowError) as error:
        raise _violation(field, f"is not a duration: {error}") from error
    return message


def timestamp(field: str, value: datetime) -> Timestamp:
    """The message for a moment; raises InvalidArgument naming `field` if it isn't one or has no time zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _violation(field, "must be a datetime with a time zone")
    message = Timestamp()
    try:
        message.FromDatetime(value)
    except (ValueError, OverflowError) as error:
        raise _violation(field, "must be between the years 1 and 9999 in UTC") from error
    return message


def _violation(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation(field, description)])


def _retry_message(policy: models.RetryPolicy) -> task_pb2.RetryPolicy:
    if not isinstance(policy, models.RetryPolicy):
        raise _violation("retry", f"must be a RetryPolicy, got {type(policy).__name__}")
    message = task_pb2.RetryPolicy()
    for name in ("max_attempts", "multiplier", "jitter"):
        value = getattr(policy, name)
        try:
            if value is not None:
                setattr(message, name, value)
        except (TypeError, ValueError) as error:
            raise _violation(f"retry.{name}", str(error)) from error
    if policy.initial_backoff is not None:
        message.initial_backoff.CopyFrom(duration("retry.initial_backoff", policy.initial_backoff))
    if policy.max_backoff is not None:
        message.max_backoff.CopyFrom(duration("retry.max_backoff", policy.max_backoff))
    return message


def task_filter(wanted: models.TaskFilter, namespace: str) -> task_service_pb2.TaskFilter:
    """The message for a filter within a namespace."""
    if not isinstance(wanted, models.TaskFilter):
        raise _violation("filter", f"must be a TaskFilter, got {type(wanted).__name__}")
    for name in ("queue", "type", "error_type"):
        text(name, getattr(wanted, name))
    message = task_service_pb2.TaskFilter(
        namespace=namespace, queue=wanted.queue, type=wanted.type, error_type=wanted.error_type
    )
    if wanted.state is not None:
        try:
            message.state = task_pb2.TaskState.Value(f"TASK_STATE_{wanted.state}")
        except ValueError as error:
            raise _violation("state", f"{wanted.state} can't be asked for") from error
    return message


def at_least_one(field: str, value: int) -> int:
    """The value; raises InvalidArgument below 1, because the wire takes 0 for "left out"."""
    if not isinstance(value, int):
        raise _violation(field, f"must be an integer, got {type(value).__name__}")
    if value < 1:
        raise _violation(field, "must be at least 1")
    return value
