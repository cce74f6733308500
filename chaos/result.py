"""What a chaos run found: one document, versioned, from which the report is drawn.

All times are seconds since the run began, except `Facts.started_at`. The JSON has the fields of these classes.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

SCHEMA = 1
"""Rises when a field changes its meaning or goes away; new fields may come at any time."""
CALM = "recoveries"
"""The preset of a run whose faults were not drawn, but repeated one by one."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the run ran on."""

    system: str
    processors: int
    memory_bytes: int
    python: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was run, where and for how long."""

    seed: int
    minutes: float
    preset: str
    backend: str
    started_at: str  # UTC, ISO 8601
    loaded_until: float  # the last submit returned
    healed_at: float  # all faults were over
    drained_at: float | None  # every task had ended; None: the drain ran out of time
    ended_at: float
    machine: Machine
    versions: dict[str, str]  # part -> version: taskyard, postgres, redis, etcd, commit, ...
    parts: dict[str, int]  # role -> how many of it
    workloads: dict[str, float] = field(default_factory=dict)  # name -> share of the load


@dataclass(frozen=True, slots=True)
class Counts:
    """Tasks and calls, counted from the history."""

    submitted: int  # submissions tried
    accepted: int  # submissions acknowledged, each of another task
    deduplicated: int  # acknowledged as a task that was there already
    refused: int  # surely not done
    unknown: int  # may have been done: the connection broke, or the time was up
    unknown_done: int  # of those, found in the database
    ended: dict[str, int]  # terminal state -> tasks
    purged: int  # ended, and deleted on request or after their retention
    lost: int  # acknowledged and never ended
    accepted_twice: int  # more than one accepted outcome
    started: int  # attempts that workers began
    rerun: int  # attempts after a lost session, rather than after a failure
    late_refused: int  # results that ended too late and were rightly refused
    crash_looped: int  # given up after too many lost sessions
    transitions: int  # changes of task rows that the audit saw


@dataclass(frozen=True, slots=True)
class Sample:
    """What happened in one second."""

    at: float
    accepted: int
    started: int
    ended: int
    backlog: int  # accepted and not ended, at the end of this second


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault as it was injected."""

    began: float
    healed: float
    family: str
    fault: str
    target: str
    detail: str
    error: str | None = None  # why it could not be injected; such a fault does not count


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number of durations are distributed, in seconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long one kind of recovery took; only times without another fault in the way count for the bound."""

    name: str
    what: str  # from when to when it is measured
    bound: float | None  # seconds that p99 must keep; None: shown, not judged
    alone: list[float]
    overlapped: list[float]
    alone_spread: Spread | None
    overlapped_spread: Spread | None
    within: bool | None  # None: nothing to judge


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole that must stay small, such as running tasks that were run again."""

    name: str
    part: int
    whole: int
    bound: float
    within: bool


@dataclass(frozen=True, slots=True)
class Violated:
    """An invariant that did not hold, with the story of the task that shows it."""

    invariant: str
    message: str
    task: str | None
    story: list[str]


@dataclass(frozen=True, slots=True)
class RestCheck:
    """A size that must be back to where it was at the start."""

    name: str  # such as "memory of dispatcher-1"
    unit: str  # "bytes", "connections", "entries", "rows"
    start: float
    end: float
    allowed: float  # the most it may be at the end
    within: bool


@dataclass(frozen=True, slots=True)
class Confidence:
    """What none of N says: at 95 %, fewer than 3 of N."""

    trials: int
    upper: float  # 3 / trials


@dataclass(frozen=True, slots=True)
class Result:
    """All of it."""

    facts: Facts
    counts: Counts
    samples: list[Sample]
    faults: list[FaultRecord]
    recoveries: list[Recovery]
    shares: list[Share]
    violations: list[Violated]
    rest: list[RestCheck]
    confidence: Confidence
    checks: dict[str, int]  # invariant -> violations, also those that have none
    passed: bool
    schema: int = SCHEMA


_DOCUMENT = TypeAdapter(Result)


def read_result(path: Path) -> Result:
    """Read a report's document."""
    return _DOCUMENT.validate_json(path.read_bytes())
