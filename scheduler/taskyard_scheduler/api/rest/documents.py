"""Reading JSON bodies such that payloads stay the bytes they were sent as.

Parsed and written again, a number such as 12345678901234567890123 or 1.10 would come back as another one.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation

_FIELDS = 24
"""Of one object or list, the tasks aside: no request has as many, and each one too many costs a violation."""
_NAME_CHARACTERS = 256
"""Of a field's name as it is written, quotes included."""
_FIELD_CHARACTERS = 16 * 1024
"""Of any field's value as it is written: four times what the longest text may have."""
_PAYLOAD_CHARACTERS = limits.PAYLOAD_BYTES + 16
_TASK_CHARACTERS = 1024
"""Of an item among the tasks that is no object."""
_FIRST_CHARACTERS = 4096
"""Most values are shorter, so that no more than this is copied for them."""
_CUT_CHARACTERS = 16
"""Where a value is cut off, the parser complains about one of so many last characters."""
_SKIPPED_BRACKETS = 50_000
"""Of the refused tasks of a batch: each takes a step, all else is skipped as a whole."""

_SPACE = re.compile(r"[ \t\n\r]*")
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = re.compile(rf"{_TEXT}|[^\[\]{{}},\"]++", re.DOTALL)
_BETWEEN_BRACKETS = re.compile(rf'[^"\[\]{{}}]*+(?:{_TEXT}[^"\[\]{{}}]*+)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class RawJson:
    """A JSON value as its bytes, checked for syntax; text that was not UTF-8 is in it as it came."""

    document: bytes


class Malformed(Exception):
    """The body is not a JSON object."""


class _Constant(ValueError):
    """NaN or an infinity, which many clients write."""


def _no_constant(name: str) -> NoReturn:
    raise _Constant(f"not JSON: {name}")


_scan = json.JSONDecoder(parse_constant=_no_constant).raw_decode

_Value = Callable[[str, int, str], tuple[Any, int]]
"""Reads a value of a text from a place on, for the field of that path; returns it and the place after it."""


def task(body: bytes) -> dict[str, Any]:
    """The fields of a task, its payload raw; raises Malformed, and Violation naming the field."""
    return _document(body, {"payload": _raw})


def batch(body: bytes) -> dict[str, Any]:
    """The fields of a batch, the payloads of its tasks raw; raises Malformed, and Violation naming the field.

    In the place of a task that has what no request has is the Violation: it alone is to be refused.
    """
    return _document(body, {"tasks": _tasks})


def plain(body: bytes) -> dict[str, Any]:
    """The fields of any other request; raises Malformed, and Violation naming the field."""
    return _document(body, {})


def _document(body: bytes, readers: dict[str, _Value]) -> dict[str, Any]:
    # Bytes that are not UTF-8 become surrogates, which the checks of the field that they are in refuse.
    text = body.decode("utf-8", "surrogateescape")
    start = _skip(text, 0)
    if text[start : start + 1] != "{":
        raise Malformed("the body must be a JSON object")
    fields, end = _object(text, start, "", readers)
    if _skip(text, end) != len(text):
        raise Malformed(f"more than one JSON value, the second at character {_skip(text, end)}")
    return fields


def _object(text: str, start: int, path: str, readers: dict[str, _Value]) -> tuple[dict[str, Any], int]:
    fields: dict[str, Any] = {}
    at = _skip(text, start + 1)
    if text[at : at + 1] == "}":
        return fields, at + 1
    while True:
        name, at = _name(text, at)
        field = path + name
        if not name.isprintable():
            raise Violation(ascii(field)[1:-1], "is not a field of this request")
        if name in fields:
            raise Violation(field, "is given twice")
        if len(fields) >= _FIELDS:
            raise Violation(path.removesuffix(".") or "body", f"more than {_FIELDS} fields")
        at = _skip(text, _expect(text, at, ":"))
        fields[name], at = readers.get(name, _small)(text, at, field)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return fields, at + 1
        at = _skip(text, _expect(text, at, ","))


def _tasks(text: str, start: int, path: str) -> tuple[list[Any], int]:
    if text[start : start + 1] != "[":
        raise Violation(path, "must be a list of tasks")
    tasks: list[Any] = []
    brackets = _SKIPPED_BRACKETS
    at = _skip(text, start + 1)
    if text[at : at + 1] == "]":
        return tasks, at + 1
    while True:
        if len(tasks) >= limits.BATCH_TASKS:
            raise Violation(path, f"more than {limits.BATCH_TASKS} tasks")
        try:
            item, at = _task(text, at, f"{path}[{len(tasks)}]")
        except Violation as violation:
            item = violation
            at, brackets = _past(text, at, brackets, violation)
        tasks.append(item)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return tasks, at + 1
        at = _skip(text, _expect(text, at, ","))


def _task(text: str, start: int, path: str) -> tuple[Any, int]:
    if text[start : start + 1] == "{":
        return _object(text, start, f"{path}.", {"payload": _raw})
    return _any(text, start, path, _TASK_CHARACTERS)


def _past(text: str, at: int, brackets: int, violation: Violation) -> tuple[int, int]:
    """The place after the refused value there, which is not read, and how many brackets may still be passed.

    Raises the violation where that takes too long or has no end: then the batch is refused.
    """
    if text[at : at + 1] not in ("{", "["):
        if scalar := _SCALAR.match(text, at):
            return scalar.end(), brackets
        raise violation
    open_ = 0
    while brackets > 0:
        bracket = text[at : at + 1]
        if not bracket:
            break
        open_ += 1 if bracket in "[{" else -1
        brackets -= 1
        at += 1
        if open_ == 0:
            return at, brackets
        # Every pattern that may be empty matches.
        at = _BETWEEN_BRACKETS.match(text, at).end()  # type: ignore[union-attr]
        if text[at : at + 1] == '"':
            break
    raise violation


def _small(text: str, start: int, path: str) -> tuple[Any, int]:
    value, end = _any(text, start, path)
    if isinstance(value, dict | list) and len(value) > _FIELDS:
        raise Violation(path, f"more than {_FIELDS} fields or items")
    return value, end


def _any(text: str, start: int, path: str, most: int = _FIELD_CHARACTERS) -> tuple[Any, int]:
    try:
        value, end = _bounded(text, start, path, most)
    except Violation:
        raise
    except json.JSONDecodeError as error:
        raise Malformed(f"{path}: not JSON: {error.msg} at character {start + error.pos}") from error
    except _Constant as error:
        raise Violation(path, str(error)) from error
    except RecursionError as error:
        raise Violation(path, f"nested deeper than {limits.JSON_DEPTH} levels") from error
    except ValueError as error:
        # Python refuses to read integers of thousands of digits.
        raise Violation(path, f"not readable: {error}") from error
    return value, end


def _bounded(text: str, start: int, path: str, most: int) -> tuple[Any, int]:
    """The value there; raises Violation rather than look at more than so many characters."""
    for length in (_FIRST_CHARACTERS, most):
        part = text[start : start + length]
        whole = start + length >= len(text)
        try:
            value, end = _scan(part, 0)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(part) - _CUT_CHARACTERS or error.msg.startswith("Unterminated string")
            if whole or not cut:
                raise
        else:
            # A number that ends with the part may go on.
            if whole or end < length:
                return value, start + end
    raise Violation(path, "is too long")


def _raw(text: str, start: int, path: str) -> tuple[RawJson, int]:
    _, end = _any(text, start, path, _PAYLOAD_CHARACTERS)
    return RawJson(text[start:end].encode("utf-8", "surrogateescape")), end


def _name(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == '"':
        return _any(text, at, "body", _NAME_CHARACTERS)
    raise Malformed(f"not JSON: a field's name is missing at character {at}")


def _skip(text: str, at: int) -> int:
    # Every pattern that may be empty matches.
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise Malformed(f"not JSON: {mark!r} is missing at character {at}")
    return at + 1
