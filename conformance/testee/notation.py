"""Durations, times, tasks and errors as README.md writes them."""

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from taskyard import InvalidArgument, TaskUnsuccessful, TaskyardError
from taskyard.worker.session import HelloRefused


class Unsupported(Exception):
    """The SDK can't."""


class KitError(Exception):
    """What the kit's handler fails with."""


def duration(text: str) -> timedelta:
    """From "0.5s"."""
    return timedelta(microseconds=int(Decimal(text.removesuffix("s")) * 1_000_000))


def moment(text: str) -> datetime:
    """From RFC 3339."""
    return datetime.fromisoformat(text)


def plain(value: Any) -> Any:
    """A value of the SDK's as JSON, without fields that are None."""
    match value:
        case StrEnum():
            return value.value
        case timedelta():
            return f"{_digits(Decimal(value // timedelta(microseconds=1)) / 1_000_000)}s"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case tuple():
            return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: plain(item) for name, item in fields.items() if item is not None}
    return value


def _digits(seconds: Decimal) -> str:
    return format(seconds.normalize(), "f")


def error(raised: BaseException) -> dict[str, Any]:
    """An error as a reply tells it."""
    told: dict[str, Any] = {"kind": _kind(raised), "message": str(raised)}
    for name in ("reason", "task_id", "retry_after", "outcome_unknown", "violations"):
        if (value := getattr(raised, name, None)) is not None:
            told[name] = plain(value)
    if isinstance(raised, TaskUnsuccessful):
        told["task"] = plain(raised.task)
    return told


def _kind(raised: BaseException) -> str:
    match raised:
        case Unsupported():
            return "Unsupported"
        case HelloRefused():
            return "Refused"
        case InvalidArgument():
            return "InvalidArgument"
        case TaskyardError() if type(raised) is not TaskyardError:
            return type(raised).__name__
        case ValueError() | TypeError() | OSError():
            return "Settings"
    return "Other"
