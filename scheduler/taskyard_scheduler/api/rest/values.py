"""How times and durations are written in JSON."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?s")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def whole(text: str) -> int:
    """The number of a text like "50". Raises ValueError, also for what Python takes, such as "5_0", "+5" or " 5"."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number in the digits 0 to 9")
    return int(text)


def seconds(text: str) -> float:
    """The seconds of a duration like "0.5s"; raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError('must be a duration in seconds like "0.5s"')
    return float(text[:-1])


def duration(value: float | None) -> str | None:
    """The duration as text; None stays None."""
    if value is None:
        return None
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def moment(text: str) -> datetime:
    """The moment of an RFC 3339 text, to the microsecond; raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError('must be a time like "2026-01-31T12:00:00Z"')
    # Python reads microseconds and no more.
    return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text.upper()))


def _read_duration(value: Any) -> Any:
    return _read(value, seconds, 'must be a duration in seconds like "0.5s"')


def _read_moment(value: Any) -> Any:
    return _read(value, moment, 'must be a time like "2026-01-31T12:00:00Z"')


def _read_size(value: Any) -> Any:
    # An empty parameter counts as left out.
    if value == "":
        return 0
    size = _read(value, whole, "must be a whole number in the digits 0 to 9")
    if size == 0:
        raise _refused("must be at least 1; leave it out for the default")
    return size


def _read(value: Any, parse: Any, wanted: str) -> Any:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return parse(value)
    except ValueError as error:
        raise _refused(wanted) from error
    raise _refused(wanted)


def _refused(wanted: str) -> PydanticCustomError:
    return PydanticCustomError("format", "{wanted}", {"wanted": wanted})


Duration = Annotated[
    float,
    BeforeValidator(_read_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,9})?s$", "examples": ["0.5s"]}),
]
"""Seconds, written as a string like "0.5s"."""

SizeParameter = Annotated[int, BeforeValidator(_read_size), WithJsonSchema({"type": "integer", "minimum": 1})]
"""How many a page may hold, in a query string; 0 where it is left out."""

Moment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
"""A time as in RFC 3339."""
