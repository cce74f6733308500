"""Everything that a call to Taskyard can raise.

TaskyardError
├── InvalidArgument         a field of the request is wrong; also a ValueError
│   └── NotJson             the payload isn't JSON; also a TypeError
├── NotFound                no task has this id
├── IdempotencyConflict     the key belongs to another task
├── FailedPrecondition      the task's state doesn't allow it
├── BacklogFull             too many tasks wait; try again after `retry_after`
├── AccessDenied            not authenticated, or not allowed
├── Unavailable             the cluster can't be reached or can't answer now
├── DeadlineExceeded        the time limit passed; also a TimeoutError
├── ServerError             anything else that the server answers
├── UnexpectedResult        the task's result isn't what its definition says; also a ValueError
└── TaskUnsuccessful        the task ended, but without a result
    ├── TaskFailed
    ├── TaskCancelled
    └── TaskExpired
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskyard.models import Task, TaskError


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of a request; `field` is its path, e.g. `retry.max_attempts`."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


class TaskyardError(Exception):
    """The base of all of them.

    Attributes:
        message: what went wrong, for people.
        reason: a stable word from the server to branch on, e.g. `BACKLOG_FULL`; empty if none was given.
    """

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class InvalidArgument(TaskyardError, ValueError):
    """The request breaks a rule; sending it again can't help.

    Attributes:
        violations: one for each offending field.
    """

    def __init__(
        self,
        message: str = "",
        *,
        violations: Sequence[FieldViolation] = (),
        reason: str = "INVALID_ARGUMENT",
    ) -> None:
        super().__init__(message or "; ".join(map(str, violations)), reason=reason)
        self.violations = tuple(violations)


class NotJson(InvalidArgument, TypeError):
    """A value that JSON cannot express was given as a payload."""


class NotFound(TaskyardError):
    """Nothing has this id."""


class IdempotencyConflict(TaskyardError):
    """The idempotency key was used before, for a different task.

    Attributes:
        task_id: the task that owns the key.
    """

    def __init__(self, message: str = "", *, task_id: str = "", reason: str = "IDEMPOTENCY_CONFLICT") -> None:
        super().__init__(message, reason=reason)
        self.task_id = task_id


class FailedPrecondition(TaskyardError):
    """The task's state doesn't allow this, e.g. a redrive of a task that hasn't failed."""


class BacklogFull(TaskyardError):
    """The queue holds as many waiting tasks as it may, or another limit is used up; nothing was accepted.

    Attributes:
        retry_after: when trying again can help, if the server said so.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: timedelta | None = None,
        reason: str = "BACKLOG_FULL",
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class AccessDenied(TaskyardError):
    """The server doesn't know the caller, or doesn't let it do this."""


class Unavailable(TaskyardError):
    """The cluster can't be reached, or can't answer at the moment.

    Attributes:
        outcome_unknown: true if the request may have been carried out all the same. It is false when the
            server surely never got it.
    """

    def __init__(self, message: str = "", *, outcome_unknown: bool = False, reason: str = "UNAVAILABLE") -> None:
        super().__init__(message, reason=reason)
        self.outcome_unknown = outcome_unknown


class DeadlineExceeded(TaskyardError, TimeoutError):
    """The caller's time limit passed.

    Attributes:
        outcome_unknown: true if the request may have been carried out all the same.
    """

    def __init__(
        self,
        message: str = "",
        *,
        outcome_unknown: bool = False,
        reason: str = "DEADLINE_EXCEEDED",
    ) -> None:
        super().__init__(message, reason=reason)
        self.outcome_unknown = outcome_unknown


class ServerError(TaskyardError):
    """The server failed in a way that it has no better word for."""


class UnexpectedResult(TaskyardError, ValueError):
    """The task succeeded with a result that is not what its definition says: its worker has another one."""

    def __init__(self, message: str = "", *, reason: str = "UNEXPECTED_RESULT") -> None:
        super().__init__(message, reason=reason)


class TaskUnsuccessful(TaskyardError):
    """The task is over and has no result.

    Attributes:
        task: the task as it ended.
    """

    def __init__(self, task: "Task") -> None:
        super().__init__(f"task {task.id} ({task.type}) {_ending(task)}", reason=task.state)
        self.task = task

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task,)


class TaskFailed(TaskUnsuccessful):
    """The task used up its retries, or its handler said that another attempt can't help."""

    @property
    def error(self) -> "TaskError | None":
        """Why the last attempt failed."""
        return self.task.error


class TaskCancelled(TaskUnsuccessful):
    """The task was cancelled."""


class TaskExpired(TaskUnsuccessful):
    """The task was not started by its `expires_at`."""


def _ending(task: "Task") -> str:
    if task.error is None:
        return task.state.lower()
    return f"{task.state.lower()}: {task.error.type}: {task.error.message}"
