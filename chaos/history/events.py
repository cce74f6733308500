"""The vocabulary of a history: what clients, workers and the database saw, as plain values.

Times are seconds since the run began. `seq` is the order in which Postgres made changes: a sequence drawn while the
changed row is still locked, so it is right for one row, and for all who lock the leader's row or a session's row.
Digests are those of `digest`, so that what a client sent, a worker returned and the database keeps can be compared.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
WAITING = frozenset({"SCHEDULED", "BLOCKED", "QUEUED"})
EVERY = "*"
"""The task of a bulk call whose answer, and with it the ids of the tasks, was lost."""


class Phase(StrEnum):
    """What a client knows of its call once it returned."""

    OK = "ok"
    FAILED = "failed"
    """Surely not carried out."""
    UNKNOWN = "unknown"
    """It may have been carried out."""


class Submit(NamedTuple):
    """A task handed over by a client, recorded when the call returned.

    `request` is the payload's digest. Of a conflict, which is FAILED, `task` is the owner of the key.
    """

    invoked: float
    returned: float
    client: str
    workload: str
    namespace: str
    key: str | None
    request: str
    phase: str
    task: str | None
    deduplicated: bool = False
    error: str | None = None
    queue: str = "default"
    type: str = ""
    selector: str = ""
    priority: int = 5
    delay: float | None = None
    max_attempts: int | None = None


class Call(NamedTuple):
    """A cancel, redrive or purge of one task; `state` is what the answer said."""

    invoked: float
    returned: float
    client: str
    verb: str
    task: str
    phase: str
    state: str | None = None
    error: str | None = None


class Read(NamedTuple):
    """A task as a client was told it; `state` is None where the server knew no such task."""

    invoked: float
    returned: float
    client: str
    task: str
    state: str | None
    attempt: int = 0


class Started(NamedTuple):
    """A worker began an attempt, by its own log."""

    at: float
    worker: str
    session: str
    task: str
    attempt: int


class Ended(NamedTuple):
    """A worker ended an attempt, by its own log; written before the result is sent.

    `outcome` is SUCCEEDED, FAILED, HOPELESS (failed, and no other attempt may help) or STOPPED.
    """

    at: float
    worker: str
    session: str
    task: str
    attempt: int
    outcome: str
    result: str | None = None


class Placement(NamedTuple):
    """Where a task may run; equal ones are one object, since there are few."""

    namespace: str
    queue: str
    type: str
    selector: str
    priority: int


class Transition(NamedTuple):
    """A change of a task's row. `old` is None for an insert, `new` for a delete; equal ones mean another field changed.

    What an insert fixes (`placement`, `key`, `request`, `max_attempts`) is told by the insert only. `session` is what
    the row says afterwards. `result` is set by a success, `reason` is the type of the row's error.
    """

    seq: int
    at: float
    transaction: int
    task: str
    old: str | None
    new: str | None
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    session: str | None = None
    cancel_requested: bool = False
    due: float = 0.0
    expires: float | None = None
    term: int | None = None
    application: str = ""
    result: str | None = None
    reason: str | None = None
    placement: Placement | None = None
    key: str | None = None
    request: str | None = None
    max_attempts: int | None = None


class SessionChange(NamedTuple):
    """A change of a session's row: a hello, or its end.

    At its end `answering` is for how many seconds its dispatcher had answered for its sessions without a gap, and
    `silent` how long ago it last did; None where it has no row any more.
    """

    seq: int
    at: float
    transaction: int
    session: str
    namespace: str
    generation: int
    live: bool
    slots: int
    types: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    worker: str = ""
    dispatcher: str = ""
    draining: bool = False
    reason: str | None = None
    answering: float | None = None
    silent: float | None = None


class TermRaised(NamedTuple):
    """The leader's row got another term."""

    seq: int
    at: float
    term: int
    dispatcher: str


class Injected(NamedTuple):
    """A fault and the time until it was taken back; `healed` is None while it lasts."""

    began: float
    healed: float | None
    fault: str
    target: str
    detail: str = ""


class Size(NamedTuple):
    """Something that must be back within `allowed` once everything is at rest: memory, connections, entries, rows."""

    name: str
    before: float
    after: float
    allowed: float


def encoded(document: object) -> bytes:
    """A payload or result as the SDK sends it."""
    try:
        return orjson.dumps(document)
    except TypeError:  # of integers beyond 64 bits
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    """A short name for payloads and results; the audit computes the same in SQL."""
    return hashlib.sha256(content).hexdigest()[:16]
