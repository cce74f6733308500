"""Getting a request's body: within its limits, of the right type, as the model that it should be."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from taskyard_core.domain import limits
from taskyard_core.domain.task import TaskSpec
from taskyard_core.domain.violations import Violation
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.failures import Failure, Reason
from taskyard_scheduler.api.rest import documents, models, problems
from taskyard_scheduler.api.submissions import Item
from taskyard_scheduler.api.traffic import Direction

AnyModel = TypeVar("AnyModel", bound=BaseModel)


class Bodies:
    """Reads bodies, which count as long as they are under way."""

    def __init__(self, arriving: Direction) -> None:
        self._arriving = arriving

    @asynccontextmanager
    async def task(self, request: Request, idempotency_key: str | None) -> AsyncIterator[TaskSpec]:
        """The submission in the body; raises Failure or Violation."""
        async with self._json(request, "body", limits.SUBMIT_BYTES) as body:
            yield _task(body, idempotency_key)

    @asynccontextmanager
    async def batch(self, request: Request) -> AsyncIterator[tuple[list[Item], bool]]:
        """The submissions in the body, or what is wrong with each, and whether ids are enough as an answer."""
        async with self._json(request, "tasks", limits.BATCH_BYTES) as body:
            read = _model(models.Batch, _parsed(body, documents.batch))
            yield _items(read.tasks), bool(read.ids_only)

    async def plain(self, request: Request, kind: type[AnyModel]) -> AnyModel:
        """The document in the body; raises Failure or Violation."""
        async with self._json(request, "body", limits.REQUEST_BYTES) as body:
            return _model(kind, _parsed(body, documents.plain))

    @asynccontextmanager
    async def _json(self, request: Request, field: str, most: int) -> AsyncIterator[bytes]:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            message = f"content-type: must be application/json, not {media_type[:100]!r}"
            raise Failure(Reason.UNSUPPORTED_MEDIA_TYPE, message)
        # What is sent in chunks may become as large as it may be.
        told = request.headers.get("content-length", "")
        size = max(1, int(told)) if told.isdecimal() else most
        if size > most:
            raise failures.too_large(field, most)
        async with self._arriving.room(connection(request), size):
            async with self._arriving.moving("the body took too long to arrive"):
                body = await _read(request, field, most)
            yield body


def connection(request: Request) -> str:
    """Who asks, as one connection."""
    client = request.client
    return f"{client.host}:{client.port}" if client else ""


async def _read(request: Request, field: str, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise failures.too_large(field, most)
    return bytes(body)


def _task(body: bytes, idempotency_key: str | None) -> TaskSpec:
    spec = _model(models.TaskSpec, _parsed(body, documents.task))
    if idempotency_key is not None:
        models.given_key("Idempotency-Key", idempotency_key)
        if spec.idempotency_key not in (None, idempotency_key):
            raise Violation("idempotency_key", "differs from the Idempotency-Key header")
        spec.idempotency_key = idempotency_key
    return spec.to_domain(orjson.loads)


def _items(documents_: Sequence[Any]) -> list[Item]:
    items: list[Item] = []
    for place, document in enumerate(documents_):
        if isinstance(document, Violation):
            items.append(failures.invalid(document))
            continue
        try:
            items.append(models.TaskSpec.model_validate(document).to_domain(orjson.loads))
        except Violation as violation:
            items.append(failures.invalid(violation.within(f"tasks[{place}]")))
        except ValidationError as error:
            # One of them is enough, as over gRPC: there may be many for each of many tasks.
            first = error.errors(include_url=False)[:1]
            items.append(_within(f"tasks[{place}]", problems.from_validation(first)))
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
