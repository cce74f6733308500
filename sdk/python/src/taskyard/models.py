"""What Taskyard's calls take and return, as plain typed values.

Durations that come from the server are `timedelta`, times are aware `datetime`s in UTC, payloads and results are
JSON values. Where a duration is given to the SDK, a number means seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict

Duration = float | timedelta
"""A length of time: seconds, or a timedelta."""


class TaskState(StrEnum):
    """Where a task stands."""

    SCHEDULED = "SCHEDULED"
    BLOCKED = "BLOCKED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"
    """A state of a newer server, which this version of the SDK doesn't know."""

    @property
    def terminal(self) -> bool:
        """Whether the task is over. A FAILED one can still be redriven."""
        return self in _TERMINAL


_TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})


class AttemptOutcome(StrEnum):
    """How one run of a task ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    RELEASED = "RELEASED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    UNKNOWN = "UNKNOWN"
    """An outcome of a newer server, which this version of the SDK doesn't know."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failures are retried: retry n waits initial_backoff * multiplier^(n-1), at most max_backoff.

    A field left out takes the queue's default. `jitter` is the share of the backoff drawn at random: with 0.2,
    10 s become 8 to 12 s.
    """

    max_attempts: int | None = None
    initial_backoff: Duration | None = None
    multiplier: float | None = None
    max_backoff: Duration | None = None
    jitter: float | None = None


class TaskOptions(TypedDict, total=False):
    """What `submit` takes besides type and payload. All are optional.

    Keys:
        queue: default "default".
        priority: 0 (lowest) to 10 (highest), default 5.
        selector: which workers may run it, e.g. `"io=ssd,region in (eu,us),!spot,memory_gb>=16"`.
        idempotency_key: submitting the same task again with the same key answers with the first one;
            None for none. An empty one is refused.
        delay, run_at: when it may start; one of the two. Default now.
        expires_at: a task that hasn't started by then is EXPIRED.
        timeout: how long one attempt may run. Default: no limit.
        retry: default the queue's.
        depends_on: ids of tasks that must succeed first.
    """

    queue: str
    priority: int | None
    selector: str
    idempotency_key: str | None
    delay: Duration | None
    run_at: datetime | None
    expires_at: datetime | None
    timeout: Duration | None
    retry: RetryPolicy | None
    depends_on: Sequence[str]


@dataclass(slots=True, kw_only=True)
class TaskRequest:
    """One task for `submit_many`; the fields mean what they mean in `TaskOptions`."""

    type: str = field(kw_only=False)
    payload: Any = field(default=None, kw_only=False)
    queue: str = ""
    priority: int | None = None
    selector: str = ""
    idempotency_key: str | None = None
    delay: Duration | None = None
    run_at: datetime | None = None
    expires_at: datetime | None = None
    timeout: Duration | None = None
    retry: RetryPolicy | None = None
    depends_on: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are meant; all fields that are set must match. `error_type` compares with `error.type`."""

    queue: str = ""
    type: str = ""
    state: TaskState | None = None
    error_type: str = ""


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why an attempt or a task failed; `type` is a stable word to branch on."""

    type: str
    message: str
    stack: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a handler says it has come; `fraction` is 0 to 1."""

    fraction: float
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the server last told it.

    `result` is None unless the state is SUCCEEDED (and may be None then). `worker` is the name of the worker that
    holds or last held it.
    """

    id: str
    namespace: str
    queue: str
    type: str
    payload: Any
    priority: int
    selector: str
    state: TaskState
    attempt: int
    failures: int
    crashes: int
    idempotency_key: str
    run_at: datetime | None
    expires_at: datetime | None
    timeout: timedelta | None
    retry: RetryPolicy | None
    depends_on: tuple[str, ...]
    result: Any
    error: TaskError | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    worker: str
    traceparent: str
    cancel_requested: bool
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a task. The one that is running has no outcome yet. `session_id` is a public name of the session."""

    task_id: str
    attempt: int
    session_id: str
    worker: str
    pod: str
    dispatcher: str
    started_at: datetime | None
    finished_at: datetime | None
    outcome: AttemptOutcome | None
    error: TaskError | None


@dataclass(frozen=True, slots=True)
class Affected:
    """What `redrive_many` or `purge_many` did, or on a dry run would do.

    Attributes:
        count: how many tasks.
        ids: the first 100 of them.
    """

    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """How many tasks of a queue are in which state, and its settings.

    Attributes:
        oldest_age: how long the oldest QUEUED task has been ready to run; None when none is.
        retry: what its tasks take where they leave retry fields out.
        max_backlog: submits are refused while this many tasks wait; 0 means the cluster's limit.
    """

    namespace: str
    name: str
    scheduled: int
    blocked: int
    queued: int
    running: int
    failed: int
    oldest_age: timedelta | None
    retry: RetryPolicy | None
    max_backlog: int


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A connected worker. `slots` is how many tasks it runs at once, `running` how many it runs now.

    `session_id` is a public name of its session, as an attempt of it has it too.
    """

    session_id: str
    name: str
    namespace: str
    labels: Mapping[str, str]
    queues: tuple[str, ...]
    types: tuple[str, ...]
    slots: int
    running: int
    pod: str
    dispatcher: str
    sdk: str
    pid: int
    connected_at: datetime | None
    draining: bool


@dataclass(frozen=True, slots=True)
class Leader:
    """The leading dispatcher. `term` rises with each election."""

    id: str
    term: int
    pid: int
    pod: str


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """A live dispatcher. Workers open sessions at `session_address`; `http_address` has metrics and health."""

    id: str
    pid: int
    pod: str
    session_address: str
    http_address: str
    version: str
    leader: bool
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster's members. `leader` is None while there is none."""

    version: str
    leader: Leader | None
    dispatchers: tuple[Dispatcher, ...]
