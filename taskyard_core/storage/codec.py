"""The small JSON documents inside rows, and other values of rows that may be anything.

Whoever may write to the tables by SQL can put into a row what no API would have taken. What is shown of such a row, or
decided about it, is all that can be read of it; nothing here raises but `read_retry`.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache

import orjson

from taskyard_core.domain import limits, retry, submission
from taskyard_core.domain.task import Progress, RetryPolicy, TaskError
from taskyard_core.domain.text import cut, storable
from taskyard_core.domain.violations import Violation

UNREADABLE = "UNREADABLE"
"""Type of an error that is shown in place of one that nobody can read."""


def dump_retry(policy: RetryPolicy) -> str:
    """The fields that were given, as JSON."""
    return orjson.dumps({k: v for k, v in asdict(policy).items() if v is not None}).decode()


def read_retry(text: str) -> RetryPolicy:
    """The policy of such a document; raises Violation."""
    try:
        fields = orjson.loads(text)
        if any(isinstance(value, bool) for value in fields.values()) or type(fields.get("max_attempts", 1)) is not int:
            raise Violation("retry", "cannot be read")
        return submission.check_retry(RetryPolicy(**fields))
    except Violation:
        raise
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise Violation("retry", "cannot be read") from error


@lru_cache(maxsize=4096)
def load_retry(text: str | None) -> RetryPolicy | None:
    """The policy of such a document; None where there is none, or none that can be read."""
    try:
        return read_retry(text) if text else None
    except Violation:
        return None


def dump_error(error: TaskError | None) -> str | None:
    """The error as JSON without NUL, which Postgres cannot hold in text."""
    if error is None:
        return None
    return orjson.dumps({name: _storable(value) for name, value in asdict(error).items()}).decode()


def load_error(text: str | None) -> TaskError | None:
    """The error of such a document; of one that cannot be read the text itself."""
    if not text:
        return None
    try:
        error = TaskError(**orjson.loads(text))
    except (TypeError, ValueError):
        error = None
    if error is None or [type(value) for value in asdict(error).values()] != [str, str, str, bool]:
        return TaskError(UNREADABLE, cut(text, limits.ERROR_MESSAGE_LENGTH))
    return error


def load_progress(text: str | None) -> Progress | None:
    """The progress of such a document; None where it cannot be read."""
    try:
        said = Progress(**orjson.loads(text)) if text else None
        if said is None or not isinstance(said.message, str):
            return None
        return Progress(min(1.0, max(0.0, float(said.fraction))), said.message)
    except (ArithmeticError, TypeError, ValueError):
        return None


def load_labels(text: str) -> dict[str, str]:
    """Labels of a worker, without those that are none."""
    try:
        document = orjson.loads(text)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, str)}


def strings(values: Iterable[object]) -> list[str]:
    """Those of an array's values that are text."""
    return [value for value in values if isinstance(value, str)]


def shown_seconds(seconds: float | None) -> float | None:
    """A duration, or None for one that no client could read."""
    return seconds if seconds is not None and math.isfinite(seconds) and abs(seconds) <= _LONGEST else None


_LONGEST = 315_576_000_000
"""Seconds of the longest protobuf duration: 10,000 years."""


@lru_cache(maxsize=4096)
def merged_retry(text: str | None, queue: RetryPolicy | None) -> RetryPolicy:
    """What a task's own document, its queue and the defaults add up to."""
    return retry.effective(load_retry(text), queue)


def _storable(value: object) -> object:
    return storable(value) if isinstance(value, str) else value
