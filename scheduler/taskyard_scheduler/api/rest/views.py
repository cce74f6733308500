"""The JSON documents of answers, as the OpenAPI description shows them; `answers` writes them.

A field that does not apply is null.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from taskyard_core.domain.task import Outcome, TaskState
from taskyard_scheduler.api.rest.values import Duration


class StoredRetryPolicy(BaseModel):
    """How failures are retried; null where the queue's default applies."""

    max_attempts: int | None
    initial_backoff: Duration | None
    multiplier: float | None
    max_backoff: Duration | None
    jitter: float | None


class TaskError(BaseModel):
    """Why an attempt or a task failed."""

    type: str = Field(description="A stable word to branch on.", examples=["ValueError"])
    message: str
    stack: str
    retryable: bool = Field(description="False where the handler said that another attempt cannot help.")


class Progress(BaseModel):
    """How far a handler says it has come."""

    fraction: float = Field(description="0 to 1.")
    message: str


class Task(BaseModel):
    """A task."""

    id: str = Field(description="UUIDv7.", examples=["0199f3c2-5f1e-7cc0-8d5a-3f6a1c2b4d5e"])
    namespace: str
    queue: str
    type: str = Field(examples=["email.send"])
    payload: Any = Field(examples=[{"to": "ada@example.com"}])
    priority: int = Field(description="0 (lowest) to 10 (highest).")
    selector: str
    state: TaskState
    attempt: int = Field(description="Rises at each claim; with the id it is the fencing token of a run.")
    failures: int = Field(description="Attempts whose handler failed.")
    crashes: int = Field(description="Attempts whose worker was lost.")
    idempotency_key: str | None
    run_at: datetime
    expires_at: datetime | None
    timeout: Duration | None
    retry: StoredRetryPolicy
    depends_on: list[str]
    result: Any = Field(description="Set when SUCCEEDED.")
    error: TaskError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None = Field(description="Name of the worker that holds or last held it.")
    traceparent: str | None
    cancel_requested: bool
    progress: Progress | None


class TaskList(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[Task]
    next_page_token: str = Field(description="Empty on the last page.")


class SubmitError(BaseModel):
    """Why one task of a batch was refused; the others are not affected."""

    reason: str = Field(examples=["INVALID_ARGUMENT"])
    message: str
    field: str | None = Field(examples=["tasks[3].priority"])
    retry_after: Duration | None
    task_id: str | None = Field(description="On IDEMPOTENCY_CONFLICT, the first task's id.")


class ShortTask(BaseModel):
    """What `ids_only` leaves of a task."""

    id: str
    state: TaskState


class SubmitSuccess(BaseModel):
    """One task of a batch that was accepted."""

    task: Task | ShortTask
    deduplicated: bool = Field(description="The idempotency key was known: this is the first task.")


class SubmitRefusal(BaseModel):
    """One task of a batch that was not accepted."""

    error: SubmitError


class BatchResults(BaseModel):
    """One result per task, in their order."""

    results: list[SubmitSuccess | SubmitRefusal]


class Attempt(BaseModel):
    """One run of a task. The running one has no outcome yet."""

    task_id: str
    attempt: int
    session_id: str = Field(description="A public name of the worker's session.", examples=["5f1e7cc08d5a"])
    worker: str
    pod: str
    dispatcher: str
    started_at: datetime
    finished_at: datetime | None
    outcome: Outcome | None
    error: TaskError | None


class AttemptList(BaseModel):
    """Some of a task's runs, oldest first."""

    attempts: list[Attempt]
    next_page_token: str = Field(description="Empty on the last page.")


class BulkResult(BaseModel):
    """How many tasks were (or, on a dry run, would be) concerned."""

    count: int
    ids: list[str] = Field(description="The first 100 of them.")


class Queue(BaseModel):
    """A queue with its counts by state."""

    namespace: str
    name: str
    scheduled: int
    blocked: int
    queued: int
    running: int
    failed: int
    oldest_age: Duration | None = Field(description="How long the oldest QUEUED task has been ready to run.")
    retry: StoredRetryPolicy
    max_backlog: int = Field(description="0 means the cluster's limit.")


class Backlog(BaseModel):
    """How much there is to do for workers that are alike."""

    backlog: int = Field(description="Tasks that could run now if there were such workers.")
    running: int = Field(
        description="Tasks that run now on workers with exactly these labels, but for those that take no more."
    )


class QueueList(BaseModel):
    """A page of queues, by name."""

    queues: list[Queue]
    next_page_token: str = Field(description="Empty on the last page.")


class Worker(BaseModel):
    """A connected worker."""

    session_id: str = Field(description="A public name of the worker's session.", examples=["5f1e7cc08d5a"])
    name: str
    namespace: str
    labels: dict[str, str]
    queues: list[str] = Field(description="Empty means all.")
    types: list[str]
    slots: int
    running: int
    pod: str
    dispatcher: str
    sdk: str = Field(examples=["python/0.1.0"])
    pid: int
    connected_at: datetime
    draining: bool


class WorkerList(BaseModel):
    """A page of connected workers, by name."""

    workers: list[Worker]
    next_page_token: str = Field(description="Empty on the last page.")


class Leader(BaseModel):
    """The dispatcher that leads."""

    id: str
    term: int = Field(description="Rises with each election.")
    pid: int
    pod: str


class Dispatcher(BaseModel):
    """A dispatcher that is alive."""

    id: str
    pid: int
    pod: str
    session_address: str = Field(description="Where workers open sessions.", examples=["10.0.0.7:7071"])
    http_address: str = Field(description="Metrics and health.", examples=["10.0.0.7:8081"])
    version: str
    leader: bool
    started_at: datetime | None


class Cluster(BaseModel):
    """The cluster; `leader` is null while there is none."""

    version: str
    leader: Leader | None
    dispatchers: list[Dispatcher]
