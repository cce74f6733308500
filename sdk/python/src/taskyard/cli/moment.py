"""Durations and times as people write them."""

import re
from datetime import datetime, timedelta

from taskyard.errors import FieldViolation, InvalidArgument

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_duration(field: str, text: str | None) -> timedelta | None:
    """`1h30m`, `0.5s`, `250ms`, or a number of seconds; None stays None. Raises InvalidArgument naming `field`."""
    if text is None:
        return None
    magnitude = text.removeprefix("-")
    if _NUMBER.fullmatch(magnitude):
        seconds = float(magnitude)
    elif re.fullmatch(f"(?:{_PART.pattern})+", magnitude):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(magnitude))
    else:
        raise _invalid(field, f"{text!r} is not a duration such as 0.5s, 10m or 1h30m")
    try:
        # Whether it may be negative is the server's to say.
        return timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError as error:
        raise _invalid(field, f"{text!r} is too long") from error


def parse_time(field: str, text: str | None) -> datetime | None:
    """A time of RFC 3339, e.g. `2030-01-31T08:00:00Z`; None stays None. Raises InvalidArgument naming `field`."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(field, f"{text!r} is not a time such as 2030-01-31T08:00:00Z") from error


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation(field, description)])
