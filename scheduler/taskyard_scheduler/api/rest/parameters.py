"""The query string of a request: which parameters it may have, each of them once."""

from collections import Counter
from typing import Any, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Request
from pydantic import BaseModel

from taskyard_core.domain.violations import Violation
from taskyard_scheduler.api import failures


def of(model: type[BaseModel] | None = None) -> Any:
    """A route's dependency that refuses other parameters than the model's, and repeated ones that are no lists."""
    fields = model.model_fields if model else {}
    lists = frozenset(name for name, field in fields.items() if get_origin(field.annotation) is list)

    async def check(request: Request) -> None:
        try:
            unquote_to_bytes(request.url.query).decode()
        except UnicodeDecodeError as error:
            raise Violation("query", "is not UTF-8") from error
        given = Counter(name for name, _ in request.query_params.multi_items())
        violations = [
            *(Violation(name, "is not a parameter of this request") for name in given if name not in fields),
            *(Violation(name, "is given more than once") for name in given if given[name] > 1 and name not in lists),
        ]
        if violations:
            raise failures.invalid(*violations)

    return Depends(check)
