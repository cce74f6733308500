"""What callers tell about tasks: one tuple per task, given in batches.

They are tuples because building one costs a quarter of a microsecond, a frozen dataclass four times that, and
there is one per task on the hot path.
"""

from typing import NamedTuple

from taskyard_core.domain.transitions import Transition


class Runner(NamedTuple):
    """Where an attempt runs: the worker session's public name, the worker's name and its pod. Make one per session."""

    session: str
    worker: str
    pod: str = ""


class Claim(NamedTuple):
    """A task that went from QUEUED to RUNNING.

    `attempt` is the new attempt, `lane` the lane's name, `waited` the seconds since the task could have run.
    """

    id: str
    attempt: int
    lane: str
    runner: Runner
    waited: float
    traceparent: str | None = None


class Ended(NamedTuple):
    """An attempt that ended, as decided by the transition; `ran` is the seconds it ran, None if nobody knows."""

    transition: Transition
    lane: str
    runner: Runner
    ran: float | None
    traceparent: str | None = None


class Moved(NamedTuple):
    """A task that nobody runs and that changed state: due, cancelled, expired, redriven."""

    id: str
    attempt: int
    lane: str
    traceparent: str | None = None
