"""Failures as google.rpc.Status."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from taskyard_core.wire import times
from taskyard_core.wire.gen import task_service_pb2
from taskyard_scheduler.api.failures import DOMAIN, Failure

_DETAILS_KEY = "grpc-status-details-bin"


def of(failure: Failure) -> status_pb2.Status:
    """The status with ErrorInfo, and BadRequest or RetryInfo where there is something to say."""
    info = error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN, metadata=failure.metadata)
    details: list[Message] = [info]
    if failure.violations:
        details.append(_bad_request(failure))
    if failure.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=times.duration(failure.retry_after)))
    code = failure.reason.code.value[0]
    return status_pb2.Status(code=code, message=failure.message, details=[_packed(detail) for detail in details])


async def abort(context: grpc.aio.ServicerContext[Any, Any], failure: Failure) -> None:
    """End the call with the failure."""
    trailers = ((_DETAILS_KEY, of(failure).SerializeToString()),)
    await context.abort(failure.reason.code, failure.message, trailers)


def submit_error(failure: Failure) -> task_service_pb2.SubmitError:
    """The failure of one task of a batch."""
    return task_service_pb2.SubmitError(
        reason=failure.reason,
        message=failure.message,
        field=failure.violations[0].field if failure.violations else "",
        retry_after=None if failure.retry_after is None else times.duration(failure.retry_after),
        task_id=failure.metadata.get("task_id", ""),
    )


def _bad_request(failure: Failure) -> error_details_pb2.BadRequest:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
        for violation in failure.violations
    ]
    return error_details_pb2.BadRequest(field_violations=violations)


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
