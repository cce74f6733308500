"""Failures as RFC 9457 problems."""

import math
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from taskyard_core.domain.violations import Violation
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.failures import Failure, Reason
from taskyard_scheduler.api.rest import values

MEDIA_TYPE = "application/problem+json"


class ProblemViolation(BaseModel):
    """A field that breaks a rule."""

    field: str = Field(examples=["priority"])
    description: str = Field(examples=["must be 0 to 10"])


class Problem(BaseModel):
    """Why a request was refused; branch on `reason`."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Bad Request"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["priority: must be 0 to 10"])
    reason: str = Field(examples=["INVALID_ARGUMENT"])
    violations: list[ProblemViolation] = []
    metadata: dict[str, str] = Field({}, description="Such as task_id, the first task of an idempotency key.")
    retry_after: str | None = Field(None, description="After how long trying again can help.", examples=["1s"])


def response(failure: Failure, headers: dict[str, str] | None = None) -> Response:
    """The answer to a refused request."""
    headers = dict(headers or {})
    if failure.retry_after is not None:
        headers["retry-after"] = str(math.ceil(failure.retry_after))
    return Response(_text(_document(failure)), failure.reason.http, headers, MEDIA_TYPE)


def item_error(failure: Failure) -> dict[str, Any]:
    """The failure of one task of a batch."""
    return {
        "reason": failure.reason,
        "message": _encodable(failure.message),
        "field": failure.violations[0].field if failure.violations else None,
        "retry_after": values.duration(failure.retry_after),
        "task_id": failure.metadata.get("task_id"),
    }


def from_validation(errors: list[Any], skip: int = 0) -> Failure:
    """The failure of a document that is not as its model says; `skip` leading parts of each path are not fields."""
    return failures.invalid(*(_violation(error, skip) for error in errors))


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""

    async def refused(_: Request, error: Exception) -> Response:
        return response(failures.from_error(error))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(from_validation(list(error.errors()), skip=1))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return response(_http_failure(request, error), dict(error.headers or {}))

    async def gone(_: Request, __: Exception) -> Response:
        # The client left in the middle of its request: nobody is there to read it.
        return Response(status_code=400)

    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Failure, refused)
    app.add_exception_handler(Violation, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(StoreUnavailable, refused)
    app.add_exception_handler(Exception, refused)


def _http_failure(request: Request, error: HTTPException) -> Failure:
    match error.status_code:
        case 404:
            return Failure(Reason.NOT_FOUND, f"there is nothing at {request.url.path}")
        case 405:
            return Failure(Reason.METHOD_NOT_ALLOWED, f"{request.method} is not possible at {request.url.path}")
        case _:
            return Failure(Reason.INVALID_ARGUMENT, str(error.detail))


def _violation(error: dict[str, Any], skip: int) -> Violation:
    path = ""
    for part in error["loc"][skip:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    match error["type"]:
        case "extra_forbidden":
            return Violation(_encodable(path), "is not a field of this request")
        case "missing":
            return Violation(path, "is required")
        case "string_unicode":
            return Violation(path, "is not UTF-8")
        case _:
            return Violation(path or "body", _encodable(str(error["msg"])))


def _document(failure: Failure) -> dict[str, Any]:
    status = failure.reason.http
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": failure.message,
        "reason": failure.reason,
        "violations": [{"field": v.field, "description": v.description} for v in failure.violations],
        "metadata": dict(failure.metadata),
        "retry_after": values.duration(failure.retry_after),
    }


def _text(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:
        # A part of the request is quoted that is not UTF-8.
        return orjson.dumps(_replaced(document))


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    return _encodable(value) if isinstance(value, str) else value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
