"""A made-up result of any length, the same for the same seed."""

import random
from dataclasses import replace

from chaos.result import (
    Confidence,
    Counts,
    Facts,
    FaultRecord,
    Machine,
    Recovery,
    RestCheck,
    Result,
    Sample,
    Share,
    Spread,
    Violated,
)

FAMILIES = {
    "processes": ("worker-kill", "dispatcher-kill", "leader-term", "scheduler-stop"),
    "postgres": ("postgres-immediate", "postgres-freeze", "postgres-promotion"),
    "redis": ("redis-flush", "redis-kill", "redis-lane-deleted"),
    "etcd": ("etcd-leader-kill", "etcd-quorum-lost"),
    "network": ("latency", "half-open", "reset"),
    "failpoints": ("failpoint-claimed", "failpoint-duty-outbox"),
}
RECOVERIES = (
    ("worker killed", "until its tasks run again", 5.0, 3.2),
    ("dispatcher killed", "until its workers work elsewhere", 2.0, 0.2),
    ("leader killed", "until the next leads", 7.0, 4.6),
    ("leader asked to stop", "until the next leads", 1.0, 0.05),
    ("redis wiped", "until the first dispatch", 2.0, 0.7),
    ("postgres back", "until submits are accepted", 3.0, 0.4),
    ("etcd quorum back", "until somebody leads", None, 3.0),
)


def passing(seconds: int = 120, faults: int = 30, seed: int = 7) -> Result:
    """A run in which everything held."""
    draw = random.Random(seed)
    samples = _samples(draw, seconds)
    accepted = sum(sample.accepted for sample in samples)
    return Result(
        facts=_facts(seconds, seed),
        counts=_counts(accepted),
        samples=samples,
        faults=[_fault(draw, seconds) for _ in range(faults)],
        recoveries=[_recovery(draw, *kind) for kind in RECOVERIES],
        shares=[Share("running tasks run again after a dispatcher was killed", 3, 48_211, 0.001, within=True)],
        violations=[],
        rest=_rest(),
        confidence=Confidence(accepted, 3 / accepted),
        checks={"no loss": 0, "no phantoms": 0, "one accepted outcome": 0, "terms never go back": 0},
        passed=True,
    )


def failing() -> Result:
    """A run in which an outcome was accepted twice, a recovery was late, and a size grew."""
    good = passing()
    twice = Violated(
        "one accepted outcome", "accepted twice: <b>1</b>", "0190a1b2-0001", ["1.20 claimed", "1.31 <lost>"]
    )
    late = replace(good.recoveries[0], within=False, bound=0.5)
    grown = replace(good.rest[0], end=400e6, within=False)
    return replace(
        good,
        counts=replace(good.counts, accepted_twice=1),
        violations=[twice],
        recoveries=[late, *good.recoveries[1:]],
        rest=[grown, *good.rest[1:]],
        checks={**good.checks, "one accepted outcome": 1},
        passed=False,
    )


def _samples(draw: random.Random, seconds: int) -> list[Sample]:
    samples, backlog = [], 0
    for second in range(seconds):
        accepted = 0 if second > seconds - 20 else round(draw.gauss(300, 12))
        able = draw.choice([0, 60, 330, 400]) if second % 40 < 5 else 420
        ended = min(backlog + accepted, able)
        backlog += accepted - ended
        samples.append(Sample(float(second), accepted, ended + draw.randint(0, 5), ended, backlog))
    return samples


def _facts(seconds: int, seed: int) -> Facts:
    return Facts(
        seed=seed,
        minutes=seconds / 60,
        preset="full",
        backend="local",
        started_at="2026-11-22T09:00:00Z",
        loaded_until=seconds - 20.0,
        healed_at=seconds - 25.0,
        drained_at=seconds - 8.0,
        ended_at=float(seconds),
        machine=Machine("Linux 6.1", 2, 8 * 1024**3, "3.11.9"),
        versions={"taskyard": "0.3.0", "postgres": "17.2", "redis": "8.0", "etcd": "3.5.21"},
        parts={"scheduler": 2, "dispatcher": 3, "worker": 6},
        workloads={"plain": 0.5, "retries": 0.2, "cancels": 0.3},
    )


def _counts(accepted: int) -> Counts:
    return Counts(
        submitted=accepted + 900,
        accepted=accepted,
        deduplicated=1200,
        refused=700,
        unknown=200,
        unknown_done=120,
        ended={"SUCCEEDED": accepted - 300, "FAILED": 200, "CANCELLED": 100},
        purged=0,
        lost=0,
        accepted_twice=0,
        started=accepted + 2000,
        rerun=410,
        late_refused=37,
        crash_looped=2,
        transitions=3 * accepted,
    )


def _fault(draw: random.Random, seconds: int) -> FaultRecord:
    family = draw.choice(list(FAMILIES))
    began = draw.uniform(2, seconds - 30)
    lasts = draw.choice([0.0, draw.uniform(2, 15)])
    error = "no standby is ready" if draw.random() < 0.02 else None
    target = f"{family}-{draw.randint(1, 3)}"
    return FaultRecord(began, began + lasts, family, draw.choice(FAMILIES[family]), target, "", error)


def _recovery(draw: random.Random, name: str, what: str, bound: float | None, typical: float) -> Recovery:
    alone = [typical * draw.uniform(0.5, 1.1) for _ in range(40)]
    overlapped = [typical * draw.uniform(0.5, 4.0) for _ in range(25)]
    within = None if bound is None else True
    return Recovery(name, what, bound, alone, overlapped, _spread(alone), _spread(overlapped), within)


def _spread(times: list[float]) -> Spread:
    ordered = sorted(times)
    return Spread(len(ordered), ordered[len(ordered) // 2], ordered[-1], ordered[-1])


def _rest() -> list[RestCheck]:
    return [
        RestCheck("memory of dispatcher-1", "bytes", 110e6, 131e6, 220e6, within=True),
        RestCheck("memory of scheduler-1", "bytes", 101e6, 118e6, 202e6, within=True),
        RestCheck("connections to Postgres", "connections", 41, 41, 46, within=True),
        RestCheck("entries in lanes", "entries", 0, 0, 0, within=True),
        RestCheck("rows in the outbox", "rows", 0, 0, 0, within=True),
    ]
