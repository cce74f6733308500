"""A whole history: the events of one run and the facts that the checks go by."""

from dataclasses import dataclass, field

from chaos.history.events import (
    Call,
    Ended,
    Injected,
    Read,
    SessionChange,
    Size,
    Started,
    Submit,
    TermRaised,
    Transition,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the run was configured to, and when its phases ended; seconds, on the run's clock where they are times.

    Attributes:
        crashes_allowed: a task that loses more workers is FAILED.
        max_attempts: failures allowed to tasks that do not say it themselves.
        retention: for how long a task that ended, and so its key, is surely kept.
        recovery: once faults are healed, a queued task with a free worker that fits must start within this.
        clock_tolerance: by how much the database's clock may have been set back during the run.
        healed_at: when the last fault was taken back and all parts ran again; None if recovery isn't to be judged.
        drained: whether the run waited for all tasks to end, so that what has not ended is lost.
        worker_logs: whether all workers kept logs; without, what they say can't be compared.
    """

    crashes_allowed: int = 3
    max_attempts: int = 3
    retention: float = 7 * 24 * 3600.0
    recovery: float = 10.0
    clock_tolerance: float = 0.0
    healed_at: float | None = None
    drained: bool = True
    worker_logs: bool = True


@dataclass(slots=True)
class History:
    """The events of one run. `transitions`, `sessions` and `terms` are in order of `seq`, the others in any."""

    facts: Facts = field(default_factory=Facts)
    submits: list[Submit] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    sessions: list[SessionChange] = field(default_factory=list)
    terms: list[TermRaised] = field(default_factory=list)
    faults: list[Injected] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
