"""Which tasks a client means, and where in a list of theirs it is."""

import base64
import binascii
import hashlib
import uuid
from typing import Generic, NamedTuple, TypeVar

from taskyard_core.domain import limits, submission
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.text import printable
from taskyard_core.domain.violations import Violation
from taskyard_core.storage.tasks import TaskFilter
from taskyard_core.storage.workers import WorkerPlace

_MARK_BYTES = 8
Item = TypeVar("Item")


class Page(NamedTuple, Generic[Item]):
    """Some of a list, in its order; the token is empty on the last page."""

    items: list[Item]
    next_page_token: str


def task_filter(
    *, namespace: str = "", queue: str = "", type: str = "", state: TaskState | None = None, error_type: str = ""
) -> TaskFilter:
    """A checked filter; empty strings match anything. Raises Violation naming the field."""
    if len(error_type) > limits.ERROR_TYPE_LENGTH:
        raise Violation("error_type", f"longer than {limits.ERROR_TYPE_LENGTH} characters")
    return TaskFilter(
        submission.name("namespace", namespace) if namespace else None,
        submission.name("queue", queue) if queue else None,
        submission.name("type", type, limits.TYPE_LENGTH) if type else None,
        state,
        printable("error_type", error_type) or None,
    )


def dead_letters(wanted: TaskFilter) -> TaskFilter:
    """The filter if it can mean FAILED tasks; raises Violation."""
    if wanted.state not in (None, TaskState.FAILED):
        raise Violation("state", "must be FAILED or left out")
    return wanted


def page_size(value: int, default: int = limits.PAGE_SIZE_DEFAULT) -> int:
    """How much a page may hold; 0 takes the default."""
    return _bounded("page_size", value, default, limits.PAGE_SIZE_MAX)


def bulk_limit(value: int) -> int:
    """How many tasks one redrive or purge may take; 0 takes the default."""
    return _bounded("limit", value, limits.BULK_LIMIT_DEFAULT, limits.BULK_LIMIT_MAX)


def page_token(wanted: TaskFilter, last_id: str) -> str:
    """What leads to the page after that task. It is good for the same filter only."""
    return _token(wanted, uuid.UUID(last_id).bytes)


def after(wanted: TaskFilter, token: str) -> str | None:
    """The task that a page begins after, None for the first page; raises Violation for a token of other making."""
    return str(uuid.UUID(bytes=_place(wanted, token, 16))) if token else None


def attempts_token(task_id: str, last: int) -> str:
    """What leads to the page after that attempt of the task."""
    return _token(task_id, last.to_bytes(4))


def attempts_after(task_id: str, token: str) -> int:
    """The attempt that a page begins after; raises Violation for a token of other making."""
    return int.from_bytes(_place(task_id, token, 4)) & 0x7FFFFFFF if token else 0


def workers_token(namespace: str, last: WorkerPlace) -> str:
    """What leads to the page after that worker of the namespace, or of all where it is empty."""
    return _token(namespace, "\0".join(last).encode())


def workers_after(namespace: str, token: str) -> WorkerPlace | None:
    """The worker that a page begins after, None for the first page; raises Violation for a token of other making."""
    if not token:
        return None
    try:
        where, name, digest = _place(namespace, token).decode().split("\0")
    except ValueError as error:
        raise Violation("page_token", "is not one of ours") from error
    return where, name, digest


def _bounded(field: str, value: int, default: int, most: int) -> int:
    if not 0 <= value <= most:
        raise Violation(field, f"must be 1 to {most}")
    return value or default


def _token(listed: TaskFilter | str, place: bytes) -> str:
    return base64.urlsafe_b64encode(_mark(listed) + place).decode()


def _place(listed: TaskFilter | str, token: str, length: int | None = None) -> bytes:
    try:
        packed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Violation("page_token", "is not one of ours") from error
    place = packed[_MARK_BYTES:]
    if not packed.startswith(_mark(listed)) or length not in (None, len(place)):
        raise Violation("page_token", "does not belong to this list")
    return place


def _mark(wanted: TaskFilter | str) -> bytes:
    return hashlib.blake2b(repr(wanted).encode(), digest_size=_MARK_BYTES).digest()
