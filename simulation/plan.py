"""What a seed stands for: the fleet, the work, and what goes wrong. Pure: the same seed gives the same plan."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

End = Literal["success", "failure", "final", "death", "endless", "unasked"]
"""How a handler ends: it returns, it fails for now or for good, it takes its worker with it, it goes on for ever, or it
stops as if it had been cancelled."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a handler does in one attempt. One that is `deaf` does not stop when told to."""

    seconds: float
    end: End = "success"
    deaf: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A task: how clients submit it and treat it, and what its handler does in each attempt (the last deed repeats)."""

    number: int
    at: float
    type: str
    queue: str
    priority: int
    selector: str
    deeds: tuple[Deed, ...]
    key: str | None = None
    delay: float | None = None
    expires_in: float | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    again_at: tuple[float, ...] = ()
    """When others submit the same under the same key."""
    conflict_at: float | None = None
    """When somebody submits something else under the same key."""
    cancel_at: float | None = None
    redriven: bool = False
    """Given another chance if it fails."""

    @property
    def poisoned(self) -> bool:
        """Whether somebody wrote into its row what no API would have taken, so that no worker can be sent it."""
        # By number, and not drawn: seeds keep their meaning for all others.
        return self.number == 5

    @property
    def sulks(self) -> bool:
        """Whether its handler, where it fails at all, says each time that it was cancelled, unasked."""
        return self.number == 10 and self.deeds[0].end in {"failure", "final"}

    def deed(self, attempt: int) -> Deed:
        """What happens in an attempt, counted from 1."""
        if self.sulks:
            return replace(self.deeds[0], end="unasked")
        return self.deeds[min(attempt, len(self.deeds)) - 1]


@dataclass(frozen=True, slots=True)
class Machine:
    """A worker as it says hello."""

    name: str
    types: tuple[str, ...]
    queues: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    slots: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a time, for a while. What `target` names depends on the kind."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One schedule."""

    seed: int
    schedulers: tuple[str, ...]
    dispatchers: tuple[str, ...]
    workers: tuple[Machine, ...]
    jobs: tuple[Job, ...]
    faults: tuple[Fault, ...]
    latency: float
    """Most seconds that a request usually takes each way."""
    storm: float
    """Share of requests to stores that fail in one way or another until then."""
    trouble_ends: float
    """When all faults are taken back."""


TYPES = ("build", "test")
QUEUES = ("default", "other")
LABELS = ("", "gpu", "!gpu")
STORES = ("postgres", "redis", "etcd")
PLACES = (
    "submit-committed",
    "lane-taken",
    "claimed",
    "result-received",
    "outcome-committed",
)
DUTIES = ("duty-outbox", "duty-promotion", "duty-promotion", "duty-expiry", "duty-reaping", "duty-rebuild")


def plan(seed: int) -> Plan:
    """The schedule of a seed."""
    random = Random(seed)
    span = random.choice((1.0, 3.0, 6.0))
    schedulers = ("scheduler-0", "scheduler-1")
    dispatchers = tuple(f"dispatcher-{n}" for n in range(random.choice((2, 2, 3))))
    workers = _workers(random)
    jobs = tuple(_job(random, number, span) for number in range(random.randint(6, 16)))
    faults = tuple(
        sorted(
            (_fault(random, span, schedulers, dispatchers, workers) for _ in range(random.choice((0, 2, 3, 4, 5, 6)))),
            key=lambda fault: fault.at,
        )
    )
    # Drawn apart, so that the rest of a seed's plan keeps its meaning.
    faults += _etcd_faults(Random(f"etcd {seed}"), span, dispatchers)
    ends = max([span, *(fault.at + fault.seconds for fault in faults)])
    return Plan(
        seed=seed,
        schedulers=schedulers,
        dispatchers=dispatchers,
        workers=workers,
        jobs=jobs,
        faults=faults,
        latency=random.choice((0.001, 0.005, 0.02, 0.1)),
        storm=random.choice((0.0, 0.0, 0.005, 0.03)),
        trouble_ends=ends,
    )


def _workers(random: Random) -> tuple[Machine, ...]:
    # The first can do everything that wants a GPU, the second everything that wants none: nothing waits for ever.
    all_round = [
        Machine("worker-0", TYPES, (), (("gpu", "1"),), random.randint(1, 4)),
        Machine("worker-1", TYPES, (), (), random.randint(1, 4)),
    ]
    special = [
        Machine(
            f"worker-{n}",
            tuple(random.sample(TYPES, random.randint(1, 2))),
            tuple(random.sample(QUEUES, 1)) if random.random() < 0.5 else (),
            (("gpu", "1"),) if random.random() < 0.5 else (),
            random.randint(1, 3),
        )
        for n in range(2, 2 + random.choice((0, 0, 1, 2)))
    ]
    return tuple(all_round + special)


def _job(random: Random, number: int, span: float) -> Job:
    draw = random.random
    key = f"key-{number}" if draw() < 0.5 else None
    at = draw() * span
    return Job(
        number=number,
        at=at,
        type=random.choice(TYPES),
        queue=random.choice(QUEUES),
        priority=random.choice((0, 5, 5, 10)),
        selector=random.choice(LABELS),
        deeds=_deeds(random),
        key=key,
        delay=draw() * 2 if draw() < 0.2 else None,
        expires_in=0.05 + draw() * 2 if draw() < 0.2 else None,
        timeout=0.5 + draw() if draw() < 0.15 else None,
        max_attempts=random.choice((1, 2, 4)) if draw() < 0.4 else None,
        again_at=tuple(at + draw() * span for _ in range(random.choice((0, 1, 2)))) if key else (),
        conflict_at=at + draw() * span if key and draw() < 0.3 else None,
        cancel_at=at + draw() * 2 if draw() < 0.2 else None,
        redriven=draw() < 0.5,
    )


def _deeds(random: Random) -> tuple[Deed, ...]:
    draw = random.random

    def lasting() -> float:
        return random.choice((0.0, 0.01, 0.2, 1.0)) * draw()

    kind = draw()
    if kind < 0.6:
        return (Deed(lasting()),)
    if kind < 0.75:
        return (*(Deed(lasting(), "failure") for _ in range(random.randint(1, 4))), Deed(lasting()))
    if kind < 0.8:
        return (Deed(lasting(), "final"), Deed(lasting()))
    if kind < 0.9:
        return (*(Deed(lasting(), "death") for _ in range(random.choice((1, 2, 4, 6)))), Deed(lasting()))
    if kind < 0.95:
        return (Deed(2.0 * draw(), deaf=True),)
    return (Deed(3.0 + draw()), Deed(lasting()))


def _etcd_faults(random: Random, span: float, dispatchers: tuple[str, ...]) -> tuple[Fault, ...]:
    """etcd is replaced, or full while its leases have run out, or away from one dispatcher for longer than patience."""
    at = random.random() * (span + 1)
    match random.choice(_ETCD_KINDS):
        case "replace-etcd":
            return (Fault(at, "replace-etcd", random.choice(("", "backup"))),)
        case "etcd-full":
            return (Fault(at, "etcd-full", random.choice(("", "leases", "leases")), 12.0 * random.random()),)
        case "part":
            return (Fault(at, "part", f"{random.choice(dispatchers)} etcd", 12.0 * random.random()),)
        case "endpoints":
            return (Fault(at, "endpoints", "", 6.0 + 12.0 * random.random()),)
    return ()


_ETCD_KINDS = ("", "", "", "", "replace-etcd", "replace-etcd", "etcd-full", "part", "endpoints")


def _fault(
    random: Random, span: float, schedulers: tuple[str, ...], dispatchers: tuple[str, ...], workers: tuple[Machine, ...]
) -> Fault:
    names = [machine.name for machine in workers]
    parts = [*schedulers, *dispatchers, *dispatchers, *names]
    at = random.random() * (span + 1)
    seconds = random.choice((0.05, 0.5, 2.0, 5.0)) * random.random()
    match random.choice(_KINDS):
        case "kill":
            return Fault(at, "kill", random.choice(parts))
        case "pair-kill":
            return Fault(at, "pair-kill", f"{random.choice(dispatchers)} {random.choice(names)}")
        case "stop":
            return Fault(at, "stop", random.choice(parts), seconds * 2)
        case "term":
            return Fault(at, "term", random.choice([*dispatchers, *names]))
        case "place":
            return Fault(at, random.choice(("crash-at", "stop-at", "fail-at")), random.choice(PLACES + DUTIES), seconds)
        case "duty":
            # About as long as it takes another leader to be elected.
            return Fault(at, "stop-at", random.choice(DUTIES), 1.0 + 1.5 * random.random())
        case "store":
            return Fault(at, random.choice(("down", "frozen")), random.choice(STORES), seconds)
        case "part":
            store = random.choice(STORES)
            return Fault(at, "part", f"{random.choice([*schedulers, *dispatchers])} {store}", seconds)
        case "cut":
            return Fault(at, "cut", f"{random.choice(names)} {random.choice(dispatchers)}", seconds * 2)
        case "reset":
            return Fault(at, "reset", random.choice(("both", "worker", "dispatcher", "nobody")))
        case "weather":
            return Fault(at, "weather", random.choice(STORES), seconds, random.choice((0.05, 0.2, 0.5)))
        case kind:
            return Fault(at, kind, seconds=seconds)


_KINDS = (
    *("kill", "kill", "kill", "pair-kill", "stop", "stop", "term", "place", "place", "place", "store", "store"),
    *("duty", "duty", "part", "part", "cut", "cut", "reset", "reset", "weather", "weather", "weather"),
    *("wipe", "restart-redis", "delete-lane", "lose-hints", "lose-leases", "replay", "deaf-worker"),
)
