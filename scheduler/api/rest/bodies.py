"""Getting a request's body: within its limits, of the right type, as the model that it should be."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from scheduler.api import failures
from scheduler.api.failures import Failure, Reason
from scheduler.api.rest import documents, models, problems
from scheduler.api.submissions import Item
from scheduler.domain import limits
from scheduler.domain.task import TaskSpec
from scheduler.domain.violations import Violation

_BODY_BYTES = 5 * 1024 * 1024

AnyModel = TypeVar("AnyModel", bound=BaseModel)


async def task(request: Request, idempotency_key: str | None) -> TaskSpec:
    """The submission in the body; raises Failure or Violation."""
    fields = _parsed(await _json(request), documents.task)
    spec = _model(models.TaskSpec, fields)
    if idempotency_key and spec.idempotency_key not in (None, "", idempotency_key):
        raise Violation("idempotency_key", "differs from the Idempotency-Key header")
    spec.idempotency_key = idempotency_key or spec.idempotency_key
    return spec.to_domain(orjson.loads)


async def batch(request: Request) -> tuple[list[Item], bool]:
    """The submissions in the body, or what is wrong with each, and whether ids are enough as an answer."""
    body = await _json(request)
    read = _model(models.Batch, _parsed(body, documents.batch))
    if len(read.tasks) > limits.BATCH_TASKS:
        raise Violation("tasks", f"more than {limits.BATCH_TASKS} tasks")
    if len(body) > limits.BATCH_BYTES:
        raise failures.too_large("tasks", limits.BATCH_BYTES)
    return _items(read.tasks), bool(read.ids_only)


async def plain(request: Request, kind: type[AnyModel]) -> AnyModel:
    """The document in the body; raises Failure or Violation."""
    return _model(kind, _parsed(await _json(request), documents.plain))


def _items(documents_: Sequence[Any]) -> list[Item]:
    items: list[Item] = []
    for place, document in enumerate(documents_):
        try:
            items.append(models.TaskSpec.model_validate(document).to_domain(orjson.loads))
        except Violation as violation:
            items.append(failures.invalid(violation.within(f"tasks[{place}]")))
        except ValidationError as error:
            items.append(_within(f"tasks[{place}]", problems.from_validation(error.errors(include_url=False))))
    return items


def _within(path: str, failure: Failure) -> Failure:
    return failures.invalid(
        *(Violation(path, v.description) if v.field == "body" else v.within(path) for v in failure.violations)
    )


def _parsed(body: bytes, read: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read(body)
    except documents.Malformed as error:
        raise Failure(Reason.INVALID_ARGUMENT, str(error), violations=(Violation("body", str(error)),)) from error


def _model(kind: type[AnyModel], fields: dict[str, Any]) -> AnyModel:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise problems.from_validation(error.errors(include_url=False)) from error


async def _json(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"content-type: must be application/json, not {media_type!r}"
        raise Failure(Reason.UNSUPPORTED_MEDIA_TYPE, message)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            raise failures.too_large("body", _BODY_BYTES)
    return bytes(body)
