"""The vocabulary: a task, what it is submitted as, its attempts and errors."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


AttemptKey = tuple[str, int]
"""A task's id, and the number of one of its runs: what a report must name to be accepted."""


def is_task_id(text: str) -> bool:
    """Whether it is spelled as the id of a task is."""
    return bool(_ID.fullmatch(text))


class TaskState(StrEnum):
    """Where a task stands; the CHECK constraint on `task.state` lists the same words."""

    SCHEDULED = "SCHEDULED"
    BLOCKED = "BLOCKED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def terminal(self) -> bool:
        """Whether the task has its one accepted outcome."""
        return self in TERMINAL


TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    RELEASED = "RELEASED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why an attempt or a task failed; `type` is a stable word to branch on."""

    type: str
    message: str = ""
    stack: str = ""
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failures are retried; None takes the queue's value, then the default. Times in seconds."""

    max_attempts: int | None = None
    initial_backoff: float | None = None
    multiplier: float | None = None
    max_backoff: float | None = None
    jitter: float | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A validated submission; `taskyard_core.domain.submission` is the only builder."""

    type: str
    payload: bytes
    namespace: str = "default"
    queue: str = "default"
    priority: int = 5
    selector: str = ""
    idempotency_key: str | None = None
    run_at: datetime | None = None
    delay: float | None = None
    expires_at: datetime | None = None
    timeout: float | None = None
    retry: RetryPolicy | None = None
    traceparent: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it starts out SCHEDULED; the promotion duty decides when its time has come."""
        return self.run_at is not None or bool(self.delay)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a handler says it has come: `fraction` is 0 to 1."""

    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as stored."""

    id: str
    namespace: str
    queue: str
    type: str
    payload: bytes
    priority: int
    selector: str
    state: TaskState
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    cancel_requested: bool = False
    idempotency_key: str | None = None
    run_at: datetime | None = None
    expires_at: datetime | None = None
    timeout: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    result: bytes | None = None
    error: TaskError | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str | None = None
    traceparent: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task, for those who ask; `session_id` is the session's public name. A running one has no outcome."""

    task_id: str
    attempt: int
    session_id: str
    worker: str
    pod: str
    dispatcher: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    error: TaskError | None = None
