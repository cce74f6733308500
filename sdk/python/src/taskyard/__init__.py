"""Taskyard for Python: submit tasks, run workers, look after a cluster.

    async with Client() as client:
        handle = await client.submit("email.send", {"to": "ada@example.org"})
        print(await handle.result())

`SyncClient` has the same verbs for code without an event loop, `Worker` runs tasks, `taskyard` is the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskyard._channel import Tls
from taskyard.client import Client
from taskyard.definition import TaskDefinition, task
from taskyard.errors import (
    AccessDenied,
    BacklogFull,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    NotJson,
    ServerError,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskUnsuccessful,
    TaskyardError,
    Unavailable,
    UnexpectedResult,
)
from taskyard.handle import TaskHandle, TypedHandle
from taskyard.models import (
    Affected,
    Attempt,
    AttemptOutcome,
    Cluster,
    Dispatcher,
    Leader,
    Progress,
    Queue,
    RetryPolicy,
    Task,
    TaskError,
    TaskFilter,
    TaskOptions,
    TaskRequest,
    TaskState,
    WorkerInfo,
)
from taskyard.sync import SyncClient, SyncTaskHandle, SyncTypedHandle

if TYPE_CHECKING:
    from taskyard.worker import Context, NonRetryable, Worker

__all__ = [
    "AccessDenied",
    "Affected",
    "Attempt",
    "AttemptOutcome",
    "BacklogFull",
    "Client",
    "Cluster",
    "Context",
    "DeadlineExceeded",
    "Dispatcher",
    "FailedPrecondition",
    "FieldViolation",
    "IdempotencyConflict",
    "InvalidArgument",
    "Leader",
    "NonRetryable",
    "NotFound",
    "NotJson",
    "Progress",
    "Queue",
    "RetryPolicy",
    "ServerError",
    "SyncClient",
    "SyncTaskHandle",
    "SyncTypedHandle",
    "Task",
    "TaskCancelled",
    "TaskDefinition",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "TaskFilter",
    "TaskHandle",
    "TaskOptions",
    "TaskRequest",
    "TaskState",
    "TaskUnsuccessful",
    "TaskyardError",
    "Tls",
    "TypedHandle",
    "Unavailable",
    "UnexpectedResult",
    "Worker",
    "WorkerInfo",
    "task",
]

_OF_WORKER = {"Context", "NonRetryable", "Worker"}


def __getattr__(name: str) -> Any:
    # A program that only submits shall not load the machinery that runs tasks.
    if name in _OF_WORKER:
        return getattr(import_module("taskyard.worker"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
