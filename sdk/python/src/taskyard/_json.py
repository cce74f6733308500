"""Payloads and results between Python values and UTF-8 JSON."""

from typing import Any

import orjson

from taskyard.errors import FieldViolation, NotJson, ServerError


def encode(value: Any, field: str = "payload") -> bytes:
    """UTF-8 JSON of the value; raises NotJson naming `field` for what JSON can't express.

    NaN and infinities become null. Dataclasses, datetimes, UUIDs and enums become what orjson makes of them.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise NotJson(violations=[FieldViolation(field, f"is not JSON: {error}")]) from error


def decode(document: bytes, field: str) -> Any:
    """The JSON value; no bytes mean null. The server has checked it, so anything else is the server's error."""
    if not document:
        return None
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise ServerError(f"the server sent a {field} that is not JSON: {error}") from error
