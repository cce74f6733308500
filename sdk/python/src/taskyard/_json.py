"""Values as UTF-8 JSON and back, the same for payloads and results, in clients, handlers and the command line.

orjson is fast but stops at 64-bit integers: it refuses to write larger ones and reads them as floats. They are rare;
only documents with such numbers take a slower way, which keeps every digit.
"""

import dataclasses
import json
import math
import re
from enum import Enum
from typing import Any, NoReturn

import orjson

from taskyard.errors import FieldViolation, NotJson, ServerError

MAX_DEPTH = 64
"""Levels of arrays and objects within each other that the server takes."""

_DIGITS_AS_ZEROS = bytes(ord("0") if chr(byte).isascii() and chr(byte).isdigit() else byte for byte in range(256))
_LARGE_NUMBER = b"0" * 19
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_MORE = 4 * MAX_DEPTH
"""Deeper than this orjson gives up by itself; so does the slower way."""


def dumps(value: Any) -> bytes:
    """UTF-8 JSON of the value; raises ValueError saying what of it JSON can't express, such as NaN.

    Dataclasses, datetimes, UUIDs and enums become what orjson makes of them.
    """
    document = _dumps(value)
    # orjson writes null for NaN and infinities, and whoever reads it back would never know.
    if b"null" in document and not _all_finite(value):
        raise ValueError("NaN and infinity are no numbers in JSON")
    return document


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except Exception as error:  # also what code of the value's own raises
        if str(error) != "Integer exceeds 64-bit range":
            raise ValueError(str(error)) from error
    try:
        return orjson.dumps(_with_digits(value, _MORE))
    except Exception as error:
        raise ValueError(str(error)) from error


def _all_finite(value: Any) -> bool:
    """Whether all numbers in what orjson has written are finite."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case float() as number:
                if not math.isfinite(number):
                    return False
            case dict() as members:
                waiting.extend(members.values())
            case list() | tuple() as items:
                waiting.extend(items)
            case Enum() as member:
                waiting.append(member.value)
            case other if dataclasses.is_dataclass(other):
                waiting.extend(getattr(other, name) for name in _written_fields(other))
    return True


def _written_fields(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]


def _with_digits(value: Any, levels: int) -> Any:
    """The value with its large integers spelled out, for orjson to copy."""
    if levels == 0:
        raise ValueError("Recursion limit reached")
    match value:
        case bool():
            return value
        case Enum():
            return _with_digits(value.value, levels - 1)
        case int():
            return value if -(2**63) <= value < 2**64 else orjson.Fragment(_digits(value))
        case dict():
            return {key: _with_digits(item, levels - 1) for key, item in value.items()}
        case list():
            return [_with_digits(item, levels - 1) for item in value]
        case tuple() if type(value) is tuple:
            return tuple(_with_digits(item, levels - 1) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _with_digits(getattr(value, name), levels - 1) for name in _written_fields(value)}
    return value


def _digits(number: int) -> str:
    try:
        float(number)
    except OverflowError:
        # So large that not even a float of its size exists: most languages can't read it, and the server refuses it.
        raise ValueError("an integer has more than 308 digits") from None
    return int.__repr__(number)


def loads(document: bytes) -> Any:
    """The value of a JSON document; raises ValueError for what is none."""
    # Many times as fast as a regular expression, and most documents pass here.
    if len(document) < len(_LARGE_NUMBER) or _LARGE_NUMBER not in document.translate(_DIGITS_AS_ZEROS):
        return orjson.loads(document)
    try:
        return json.loads(document, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def too_deep(document: bytes) -> bool:
    """Whether a JSON document nests deeper than the server takes."""
    # Most documents are too short, or hold too few brackets, to be too deep.
    if len(document) <= MAX_DEPTH or document.count(b"[") + document.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(document):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return False


def encode(value: Any, field: str = "payload") -> bytes:
    """`dumps` for what a caller gave; raises NotJson naming `field`."""
    try:
        return dumps(value)
    except ValueError as error:
        raise NotJson(violations=[FieldViolation(field, f"is not JSON: {error}")]) from error


def decode(document: bytes, field: str) -> Any:
    """The JSON value; no bytes mean null. The server has checked it, so anything else is the server's error."""
    if not document:
        return None
    try:
        return loads(document)
    except ValueError as error:
        raise ServerError(f"the server sent a {field} that is not JSON: {error}") from error
