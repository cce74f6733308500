"""Payloads and results between Python values and UTF-8 JSON.

orjson is fast but stops at 64-bit integers: it refuses to write larger ones and reads them as floats. They are rare;
only documents with such numbers take the slower way of the standard library, which keeps every digit.
"""

import json
import re
from typing import Any

import orjson

from taskyard.errors import FieldViolation, NotJson, ServerError

_LARGE_NUMBER = re.compile(rb"\d{19}")


def encode(value: Any, field: str = "payload") -> bytes:
    """UTF-8 JSON of the value; raises NotJson naming `field` for what JSON can't express.

    NaN and infinities become null. Dataclasses, datetimes, UUIDs and enums become what orjson makes of them.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        if str(error) == "Integer exceeds 64-bit range":
            return _encode_large(value, field)
        raise _not_json(field, error) from error


def _encode_large(value: Any, field: str) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _not_json(field, error) from error


def _not_json(field: str, error: Exception) -> NotJson:
    return NotJson(violations=[FieldViolation(field, f"is not JSON: {error}")])


def decode(document: bytes, field: str) -> Any:
    """The JSON value; no bytes mean null. The server has checked it, so anything else is the server's error."""
    if not document:
        return None
    try:
        return json.loads(document) if _LARGE_NUMBER.search(document) else orjson.loads(document)
    except ValueError as error:
        raise ServerError(f"the server sent a {field} that is not JSON: {error}") from error
