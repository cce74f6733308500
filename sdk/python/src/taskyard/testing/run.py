"""What came of a task that was run in a test."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from taskyard.client import result_of
from taskyard.models import AttemptOutcome, Task, TaskError, TaskState

Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """What a handler said of its progress, and when: seconds since the submit."""

    fraction: float
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class AttemptRun:
    """One attempt. Its times are seconds since the submit."""

    number: int
    outcome: AttemptOutcome
    error: TaskError | None
    progress: tuple[ProgressReport, ...]
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class TaskRun(Generic[Out]):
    """A task that is over.

    Attributes:
        task: as a client would see it.
        attempts: its runs, oldest first.
        elapsed: seconds from its submit to its end, backoff included.
    """

    task: Task
    attempts: tuple[AttemptRun, ...]
    elapsed: float
    load: Callable[[Any], Out] = field(repr=False)

    @property
    def state(self) -> TaskState:
        """How it ended."""
        return self.task.state

    @property
    def error(self) -> TaskError | None:
        """Why it failed, if it did."""
        return self.task.error

    @property
    def result(self) -> Out:
        """What its handler returned; raises TaskFailed or TaskCancelled, as `TaskHandle.result` does."""
        return self.load(result_of(self.task))
