"""The state machine: what an event does to a task.

`RULES` is all of it; docs/architecture.md shows it as a table. `decide` finds the rule of an event, and the task store
writes what it says into the row, if that still is as the rule says, and decides nothing. Claiming (QUEUED to RUNNING,
the only place where `attempt` rises) is decided by the dispatcher's assignment and written by the claim query.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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


class Lost:
    """The session that ran the attempt is gone."""


class Due:
    """run_at has come."""


class Cancelled:
    """A client asked for it before the task started."""


class Expired:
    """expires_at passed before the task started."""


class Redriven:
    """An operator gives a FAILED task another chance."""


Event = Succeeded | Failed | Stopped | Released | Lost | Due | Cancelled | Expired | Redriven


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule:
    """What becomes of a row in one of the `sources`: the whole instruction, which a store only has to carry out.

    Where a cancel was asked for by the time of the write, the row ends in the state `if_cancelled` instead; then its
    owner and run_at stay. `outcome` ends the attempt. A count of None is set back to 0, others are added.
    """

    event: str
    sources: tuple[TaskState, ...]
    target: TaskState
    if_cancelled: TaskState | None = None
    outcome: Outcome | None = None
    failures: int | None = 0
    crashes: int | None = 0
    clears_owner: bool = False
    clears_error: bool = False
    clears_cancel: bool = False
    clears_expiry: bool = False
    """Of an expires_at that has passed: the task would only expire again."""


_RUNNING = (TaskState.RUNNING,)
_WAITING = (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED)

SUCCEEDED = Rule(
    event="succeeded",
    # QUEUED: its session was given up for lost, and nobody has claimed it since. Then the work need not be done twice.
    sources=(TaskState.RUNNING, TaskState.QUEUED),
    target=TaskState.SUCCEEDED,
    outcome=Outcome.SUCCEEDED,
    clears_error=True,
)
RETRIED = Rule(
    event="failed, budget left",
    sources=_RUNNING,
    target=TaskState.SCHEDULED,
    if_cancelled=TaskState.CANCELLED,
    outcome=Outcome.FAILED,
    failures=1,
    clears_owner=True,
)
FAILED = Rule(
    event="failed, budget spent or not retryable",
    sources=_RUNNING,
    target=TaskState.FAILED,
    if_cancelled=TaskState.CANCELLED,
    outcome=Outcome.FAILED,
    failures=1,
)
TIMED_OUT_RETRIED = replace(RETRIED, event="timed out, budget left", outcome=Outcome.TIMED_OUT)
TIMED_OUT = replace(FAILED, event="timed out, budget spent or not retryable", outcome=Outcome.TIMED_OUT)
STOPPED = Rule(event="stopped after a cancel", sources=_RUNNING, target=TaskState.CANCELLED, outcome=Outcome.CANCELLED)
RELEASED = Rule(
    event="released",
    sources=_RUNNING,
    target=TaskState.QUEUED,
    if_cancelled=TaskState.CANCELLED,
    outcome=Outcome.RELEASED,
    clears_owner=True,
)
LOST = Rule(
    event="session lost",
    sources=_RUNNING,
    target=TaskState.QUEUED,
    if_cancelled=TaskState.CANCELLED,
    outcome=Outcome.CRASHED,
    crashes=1,
    # The owner stays: it may still bring a success home.
)
CRASH_LOOP = Rule(
    event=f"session lost more than {limits.CRASHES_ALLOWED} times",
    sources=_RUNNING,
    target=TaskState.FAILED,
    if_cancelled=TaskState.CANCELLED,
    outcome=Outcome.CRASHED,
    crashes=1,
)
DUE = Rule(event="due", sources=(TaskState.SCHEDULED,), target=TaskState.QUEUED, clears_owner=True)
CANCELLED = Rule(event="cancelled", sources=_WAITING, target=TaskState.CANCELLED)
EXPIRED = Rule(event="expires_at passed", sources=_WAITING, target=TaskState.EXPIRED)
REDRIVEN = Rule(
    event="redriven",
    sources=(TaskState.FAILED,),
    target=TaskState.QUEUED,
    failures=None,
    crashes=None,
    clears_owner=True,
    clears_cancel=True,
    clears_expiry=True,
)
RULES = (
    *(SUCCEEDED, RETRIED, FAILED, TIMED_OUT_RETRIED, TIMED_OUT, STOPPED, RELEASED, LOST, CRASH_LOOP),
    *(DUE, CANCELLED, EXPIRED, REDRIVEN),
)


class Runner(NamedTuple):
    """Where an attempt runs: the worker session's public name, the worker's name and its pod. Make one per session."""

    session: str
    worker: str
    pod: str = ""


class Transition(NamedTuple):
    """A rule for one task: applies where the attempt is still this one, and `session`, unless it is None, its owner.

    `delay` in seconds from now sets run_at; None leaves it. `error` of None leaves the one that is there. `runner` and
    `ran`, the seconds that the attempt ran, are for those who are told; None where nobody ran it, or knows how long.
    """

    id: str
    attempt: int
    rule: Rule
    session: str | None = None
    delay: float | None = None
    result: bytes | None = None
    error: TaskError | None = None
    runner: Runner | None = None
    ran: float | None = None


class Change(NamedTuple):
    """A transition that took place, from which state to which, and what is told of its task."""

    transition: Transition
    source: TaskState
    target: TaskState
    lane: str
    traceparent: str | None = None


class IllegalTransition(Exception):
    """The event cannot happen to a task in that state."""


def decide(task: Snapshot, event: Event, draw: Callable[[], float]) -> Transition:
    """What the event makes of the task; raises IllegalTransition. `draw` is uniform [0, 1) for jitter."""
    decided = _decided(task, event, draw)
    if task.state not in decided.rule.sources:
        raise IllegalTransition(f"{decided.rule.event}, but the task is {task.state}")
    if decided.rule.outcome and decided.session is None:
        raise IllegalTransition(f"{decided.rule.event}, but nobody owns the attempt")
    return decided


def succeeded(
    id: str,
    attempt: int,
    session: str | None,
    result: bytes,
    *,
    runner: Runner | None = None,
    ran: float | None = None,
) -> Transition:
    """A success, which can be decided without a look at the task: it counts if the attempt is its owner's."""
    return Transition(id, attempt, SUCCEEDED, session, None, result, None, runner, ran)


def _decided(task: Snapshot, event: Event, draw: Callable[[], float]) -> Transition:
    match event:
        case Succeeded(result):
            return succeeded(task.id, task.attempt, task.session, result)
        case Failed(error):
            return _failed(task, error, draw)
        case Stopped():
            return _stopped(task, draw)
        case Released():
            return _again(task, RELEASED)
        case Lost():
            return _lost(task)
        case Due():
            return Transition(task.id, task.attempt, DUE)
        case Cancelled():
            return Transition(task.id, task.attempt, CANCELLED)
        case Expired():
            return Transition(task.id, task.attempt, EXPIRED)
        case Redriven():
            return Transition(task.id, task.attempt, REDRIVEN, delay=0.0)


def _failed(task: Snapshot, error: TaskError, draw: Callable[[], float]) -> Transition:
    failures = task.failures + 1
    retried, failed = (TIMED_OUT_RETRIED, TIMED_OUT) if error.type == "TIMEOUT" else (RETRIED, FAILED)
    if not error.retryable or retry.exhausted(task.retry, failures):
        return Transition(task.id, task.attempt, failed, task.session, error=error)
    delay = retry.backoff(task.retry, failures, draw)
    return Transition(task.id, task.attempt, retried, task.session, delay, error=error)


def _stopped(task: Snapshot, draw: Callable[[], float]) -> Transition:
    if not task.cancel_requested:
        # It must cost something, or such a handler would be given the task for ever.
        error = TaskError("CANCELLED_UNASKED", "the handler stopped as if cancelled, and nobody had asked for that")
        return _failed(task, error, draw)
    return Transition(task.id, task.attempt, STOPPED, task.session)


def _lost(task: Snapshot) -> Transition:
    crashes = task.crashes + 1
    if crashes > limits.CRASHES_ALLOWED and not task.cancel_requested:
        error = TaskError("CRASH_LOOP", f"its worker was lost {crashes} times", retryable=False)
        return Transition(task.id, task.attempt, CRASH_LOOP, task.session, error=error)
    return _again(task, LOST)


def _again(task: Snapshot, rule: Rule) -> Transition:
    # Ready from now on: what it waited before its last attempt is not waiting for a worker.
    return Transition(task.id, task.attempt, rule, task.session, delay=0.0)
