"""Turning what a client sent into a TaskSpec: every rule about a submission's fields is here."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from taskyard_core.domain import limits, selectors
from taskyard_core.domain.task import RetryPolicy, TaskSpec
from taskyard_core.domain.text import printable
from taskyard_core.domain.violations import Violation

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

JsonCheck = Callable[[bytes], object]
"""Parses JSON and raises ValueError for what is not JSON; injected so that the domain needs no library."""


def build(
    *,
    type: str,
    payload: bytes,
    check_json: JsonCheck = json.loads,
    namespace: str = "",
    queue: str = "",
    priority: int | None = None,
    selector: str = "",
    idempotency_key: str = "",
    run_at: datetime | None = None,
    delay: float | None = None,
    expires_at: datetime | None = None,
    timeout: float | None = None,
    retry: RetryPolicy | None = None,
    traceparent: str = "",
) -> TaskSpec:
    """A validated submission. Empty strings take the defaults; raises Violation naming the field.

    Durations are in seconds.
    """
    if run_at is not None and delay is not None:
        raise Violation("delay", "run_at and delay cannot both be given")
    return TaskSpec(
        _type(type),
        _json(payload, check_json),
        name("namespace", namespace) if namespace else "default",
        name("queue", queue) if queue else "default",
        limits.PRIORITY_DEFAULT if priority is None else _priority(priority),
        _selector(selector) if selector else "",
        _key(idempotency_key) if idempotency_key else None,
        _moment("run_at", run_at) if run_at else None,
        None if delay is None else seconds("delay", delay, limits.DELAY_SECONDS),
        _moment("expires_at", expires_at) if expires_at else None,
        None if timeout is None else check_timeout(timeout),
        None if retry is None else check_retry(retry),
        _traceparent(traceparent) if traceparent else None,
    )


@lru_cache(maxsize=16384)
def name(field: str, value: str, length: int = limits.NAME_LENGTH) -> str:
    """The value if it is a legal name; raises Violation on `field`."""
    if len(value) > length:
        raise Violation(field, f"longer than {length} characters")
    if not _NAME.fullmatch(value):
        raise Violation(field, "must be letters, digits, '.', '_' and '-', and begin with a letter or digit")
    return value


def seconds(field: str, value: float, most: float) -> float:
    """The duration if it is not negative and at most `most` seconds."""
    if math.isnan(value) or value < 0:
        raise Violation(field, "must not be negative")
    if value > most:
        raise Violation(field, f"longer than {most:.0f} seconds")
    return value


def check_timeout(value: float) -> float:
    """The seconds that one attempt may run, if they are within bounds."""
    if value == 0:
        raise Violation("timeout", "must be longer than zero")
    return seconds("timeout", value, limits.TIMEOUT_SECONDS)


def check_retry(policy: RetryPolicy) -> RetryPolicy:
    """The policy if its given fields are within bounds."""
    if policy.max_attempts is not None and not 1 <= policy.max_attempts <= limits.MAX_ATTEMPTS:
        raise Violation("retry.max_attempts", f"must be 1 to {limits.MAX_ATTEMPTS}")
    if policy.multiplier is not None and not 1 <= policy.multiplier <= limits.MULTIPLIER_MAX:
        raise Violation("retry.multiplier", f"must be 1 to {limits.MULTIPLIER_MAX:.0f}")
    if policy.jitter is not None and not 0 <= policy.jitter <= 1:
        raise Violation("retry.jitter", "must be 0 to 1")
    if policy.initial_backoff is not None:
        seconds("retry.initial_backoff", policy.initial_backoff, limits.INITIAL_BACKOFF_SECONDS)
    if policy.max_backoff is not None:
        seconds("retry.max_backoff", policy.max_backoff, limits.MAX_BACKOFF_SECONDS)
    return policy


def check_json(field: str, document: bytes, check: JsonCheck, most: int) -> bytes:
    """The document if it is UTF-8 JSON of at most `most` bytes and not too deep."""
    if len(document) > most:
        raise Violation(field, f"{len(document)} bytes, at most {most} are allowed")
    if too_deep(document, limits.JSON_DEPTH):
        raise Violation(field, f"nested deeper than {limits.JSON_DEPTH} levels")
    try:
        check(document)
    except (ValueError, RecursionError) as error:
        raise Violation(field, f"not UTF-8 JSON: {error}") from error
    return document


def _json(payload: bytes, check: JsonCheck) -> bytes:
    return check_json("payload", payload, check, limits.PAYLOAD_BYTES) if payload else b"null"


def too_deep(document: bytes, levels: int) -> bool:
    """Whether the JSON document nests deeper; what is not JSON is looked at all the same, in linear time."""
    # Brackets are counted before any parser runs, since parsers recurse. Most documents hold too few to be too deep.
    if document.count(b"[") + document.count(b"{") <= levels:
        return False
    depth = 0
    for token in _BRACKETS.finditer(document):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > levels:
                return True
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return False


_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Strings are matched whole, so that brackets inside them do not count.

One that never ends is taken to the end of the document: were it tried from each of its quotes, a hostile document
would take quadratic time.
"""


def _type(value: str) -> str:
    if not value:
        raise Violation("type", "is required")
    return name("type", value, limits.TYPE_LENGTH)


def _priority(value: int) -> int:
    if not limits.PRIORITY_MIN <= value <= limits.PRIORITY_MAX:
        raise Violation("priority", f"must be {limits.PRIORITY_MIN} to {limits.PRIORITY_MAX}")
    return value


@lru_cache(maxsize=4096)
def _selector(text: str) -> str:
    canonical = selectors.canonical(text)
    if len(canonical) > limits.SELECTOR_LENGTH:
        raise Violation("selector", f"longer than {limits.SELECTOR_LENGTH} characters")
    return canonical


def _key(value: str) -> str:
    # First, since text that is not printable need not have an encoding.
    printable("idempotency_key", value)
    if len(value.encode()) > limits.KEY_BYTES:
        raise Violation("idempotency_key", f"longer than {limits.KEY_BYTES} bytes")
    return value


def _traceparent(value: str) -> str:
    if len(value) > limits.TRACEPARENT_LENGTH:
        raise Violation("traceparent", f"longer than {limits.TRACEPARENT_LENGTH} characters")
    return printable("traceparent", value)


_YEARS = "must be between the years 1970 and 9000"


def _moment(field: str, value: datetime) -> datetime:
    if value.tzinfo is None:
        raise Violation(field, "needs a time zone")
    try:
        # The year counts as it is in UTC, which for some moments of the first and the last one is beyond the calendar.
        value = value.astimezone(UTC)
    except OverflowError:
        raise Violation(field, _YEARS) from None
    if not 1970 <= value.year <= 9000:
        raise Violation(field, _YEARS)
    return value
