"""The state machine: what an event does to a task.

`decide` is the one place that knows; storage applies a `Transition` as one conditional update. Claiming (QUEUED to
RUNNING, the only place where `attempt` rises) is decided by the dispatcher's assignment and applied by the claim query.

    SCHEDULED --due--> QUEUED --claim--> RUNNING --succeeded--> SUCCEEDED
        ^                ^  ^               |------failed (budget left)--> SCHEDULED
        |                |  '---released----|------failed (budget spent)-> FAILED --redriven--> QUEUED
        |                '------lost--------|------lost too often--------> FAILED
        '------------retry backoff----------'------stopped---------------> CANCELLED
    "stopped" counts as a failure where nobody had asked for it.
    SCHEDULED, BLOCKED, QUEUED --cancelled--> CANCELLED; SCHEDULED, BLOCKED, QUEUED --expired--> EXPIRED
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from taskyard_core.domain import limits, retry
from taskyard_core.domain.task import Outcome, RetryPolicy, TaskError, TaskState


class Snapshot(NamedTuple):
    """What a decision looks at. `session` is the owner of the attempt while RUNNING."""

    id: str
    state: TaskState
    attempt: int
    failures: int = 0
    crashes: int = 0
    cancel_requested: bool = False
    retry: RetryPolicy = RetryPolicy()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned; `result` is JSON."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler said no."""

    error: TaskError


class Stopped:
    """The handler stopped, as it says because it was told to."""


class Released:
    """The worker handed the attempt back unfinished."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The session that ran the attempt is gone."""

    crashes_allowed: int = limits.CRASHES_ALLOWED


class Due:
    """run_at has come."""


class Cancelled:
    """A client asked for it before the task started."""


class Expired:
    """expires_at passed before the task started."""


class Redriven:
    """An operator gives a FAILED task another chance."""


Event = Succeeded | Failed | Stopped | Released | Lost | Due | Cancelled | Expired | Redriven


class Transition(NamedTuple):
    """One conditional update: applies where the task is still (`source`, `attempt`, `session`).

    A `session` of None matches any. `delay` in seconds from now sets run_at; None leaves it. `failures` and `crashes`
    are the new values. `outcome` ends the attempt; None writes no attempt row.
    """

    id: str
    source: TaskState
    attempt: int
    target: TaskState
    failures: int
    crashes: int
    session: str | None = None
    delay: float | None = None
    result: bytes | None = None
    error: TaskError | None = None
    outcome: Outcome | None = None


class IllegalTransition(Exception):
    """The event cannot happen to a task in that state."""


def decide(task: Snapshot, event: Event, draw: Callable[[], float]) -> Transition:
    """What the event makes of the task; raises IllegalTransition. `draw` is uniform [0, 1) for jitter."""
    match event:
        case Succeeded(result):
            return _end(task, TaskState.SUCCEEDED, Outcome.SUCCEEDED, result=result)
        case Failed(error):
            return _failed(task, error, draw)
        case Stopped():
            return _stopped(task, draw)
        case Released():
            return _again(task, Outcome.RELEASED, task.crashes)
        case Lost(allowed):
            return _lost(task, allowed)
        case Due():
            return _move(task, TaskState.SCHEDULED, TaskState.QUEUED)
        case Redriven():
            return _redriven(task)
        case Cancelled():
            return _move(task, _waiting(task), TaskState.CANCELLED)
        case Expired():
            return _move(task, _waiting(task), TaskState.EXPIRED)


def _failed(task: Snapshot, error: TaskError, draw: Callable[[], float]) -> Transition:
    failures = _one_more(task.failures)
    outcome = Outcome.TIMED_OUT if error.type == "TIMEOUT" else Outcome.FAILED
    if task.cancel_requested:
        return _end(task, TaskState.CANCELLED, outcome, failures=failures, error=error)
    if not error.retryable or retry.exhausted(task.retry, failures):
        return _end(task, TaskState.FAILED, outcome, failures=failures, error=error)
    return Transition(
        id=task.id,
        source=_running(task),
        attempt=task.attempt,
        target=TaskState.SCHEDULED,
        failures=failures,
        crashes=task.crashes,
        session=task.session,
        delay=retry.backoff(task.retry, failures, draw),
        error=error,
        outcome=outcome,
    )


def _stopped(task: Snapshot, draw: Callable[[], float]) -> Transition:
    if not task.cancel_requested:
        # It must cost something, or such a handler would be given the task for ever.
        error = TaskError("CANCELLED_UNASKED", "the handler stopped as if cancelled, and nobody had asked for that")
        return _failed(task, error, draw)
    return _end(task, TaskState.CANCELLED, Outcome.CANCELLED)


def _lost(task: Snapshot, allowed: int) -> Transition:
    crashes = _one_more(task.crashes)
    if task.cancel_requested:
        return _end(task, TaskState.CANCELLED, Outcome.CRASHED, crashes=crashes)
    if crashes > allowed:
        error = TaskError("CRASH_LOOP", f"its worker was lost {crashes} times", retryable=False)
        return _end(task, TaskState.FAILED, Outcome.CRASHED, crashes=crashes, error=error)
    return _again(task, Outcome.CRASHED, crashes)


def _one_more(count: int) -> int:
    # What the table can hold; a row can have any count to begin with.
    return min(count + 1, 2**31 - 1)


def _again(task: Snapshot, outcome: Outcome, crashes: int) -> Transition:
    if task.cancel_requested:
        return _end(task, TaskState.CANCELLED, outcome, crashes=crashes)
    return Transition(
        id=task.id,
        source=_running(task),
        attempt=task.attempt,
        target=TaskState.QUEUED,
        failures=task.failures,
        crashes=crashes,
        session=task.session,
        # Ready from now on: what it waited before its lost attempt is not waiting for a worker.
        delay=0.0,
        outcome=outcome,
    )


def _end(
    task: Snapshot,
    target: TaskState,
    outcome: Outcome,
    *,
    failures: int | None = None,
    crashes: int | None = None,
    result: bytes | None = None,
    error: TaskError | None = None,
) -> Transition:
    return Transition(
        id=task.id,
        source=_running(task),
        attempt=task.attempt,
        target=target,
        failures=task.failures if failures is None else failures,
        crashes=task.crashes if crashes is None else crashes,
        session=task.session,
        result=result,
        error=error,
        outcome=outcome,
    )


def _redriven(task: Snapshot) -> Transition:
    if task.state is not TaskState.FAILED:
        raise IllegalTransition(f"only a FAILED task can be redriven, it is {task.state}")
    return Transition(task.id, TaskState.FAILED, task.attempt, TaskState.QUEUED, 0, 0, delay=0.0)


def _move(task: Snapshot, source: TaskState, target: TaskState) -> Transition:
    if task.state is not source:
        raise IllegalTransition(f"{source} to {target}, but it is {task.state}")
    return Transition(task.id, source, task.attempt, target, task.failures, task.crashes)


def _waiting(task: Snapshot) -> TaskState:
    if task.state in (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED):
        return task.state
    raise IllegalTransition(f"the task is {task.state}, it does not wait")


def _running(task: Snapshot) -> TaskState:
    if task.state is not TaskState.RUNNING:
        raise IllegalTransition(f"the task is {task.state}, it does not run")
    return TaskState.RUNNING
