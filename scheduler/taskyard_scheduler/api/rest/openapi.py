"""The OpenAPI description: FastAPI's own, with the bodies that are read by hand."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from taskyard_scheduler.api.rest import models, parameters, problems

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (models.TaskSpec, models.Batch, models.DeadLetters, models.QueueSettings)

_REFUSALS = {
    400: "A field breaks a rule; `violations` name it.",
    404: "There is no such task.",
    409: "The task's state, or the use of its idempotency key, does not allow it.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    429: "Too many tasks wait in the queue; Retry-After tells when to try again.",
    503: "A store is away; trying again can help.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route answers with."""
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in (400, *statuses, 503)}


def describes(
    answer: type[BaseModel], *statuses: int, query: type[BaseModel] | None = None, takes: type[BaseModel] | None = None
) -> dict[str, Any]:
    """How a route is declared that answers with that model, or with a problem of 400, 503 or these statuses.

    It has the parameters of `query`, and no others, and reads a body of what it `takes` by hand.
    """
    said: dict[str, Any] = {"dependencies": [parameters.of(query)]}
    if takes is not None:
        said["openapi_extra"] = body(takes)
    return said | {"responses": {200: {"model": answer}, **refusals(*statuses)}}


def body(kind: type[BaseModel]) -> dict[str, Any]:
    """The body of a route that reads it by hand."""
    schema = {"$ref": _REF.format(model=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def install(app: FastAPI) -> None:
    """Make the app describe itself with the schemas that its routes refer to."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(describe())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(description: dict[str, Any]) -> dict[str, Any]:
    kinds = [(kind, "validation") for kind in (*_BODIES, problems.Problem)]
    _, bodies = models_json_schema(kinds, ref_template=_REF)  # type: ignore[arg-type]
    schemas = description["components"]["schemas"]
    schemas |= bodies["$defs"]
    schemas["Batch"]["properties"]["tasks"]["items"] = {"$ref": _REF.format(model="TaskSpec")}
    schemas["TaskSpec"]["required"] = ["type"]
    # FastAPI's own answer to parameters that are not valid, which nobody gets here.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in description["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    return description
