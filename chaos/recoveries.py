"""A calm experiment that measures recoveries: the same faults over and over, each with time of its own."""

import random
from collections.abc import Mapping, Sequence

from chaos.experiments import Preset, Step
from chaos.faults import Fault
from chaos.measures.recoveries import QUIET
from chaos.result import Recovery

REPEATED = ("kill-worker", "kill-dispatcher", "kill-leader", "terminate-leader", "flush-redis", "kill-postgres")
GAP = 4.0
"""Seconds beside what a recovery may take: nothing of a fault is left when the next one comes."""
OUTAGE = 2.0
LOAD = Preset(seconds=0.0, rate=100.0, drain=120.0, retention=7 * 24 * 3600.0)


def repetitions(count: int, others: int, seed: int, faults: Mapping[str, Fault]) -> list[Step]:
    """The faults whose recovery is promised `count` times, in turn, then every other `others` times."""
    draw = random.Random(seed)
    steps: list[Step] = []
    at = GAP
    for name in [*REPEATED] * count + sorted(faults.keys() - set(REPEATED)) * others:
        fault = faults[name]
        duration = min(max(OUTAGE, fault.seconds[0]), fault.seconds[1])
        steps.append(Step(round(at, 3), name, fault.targets[0], duration, draw.random(), alone=True))
        at += duration + max(QUIET, fault.recovery) + GAP
    return steps


def table(recoveries: Sequence[Recovery]) -> list[str]:
    """Lines for people."""
    lines = [f"{'recovery':42} {'n':>4} {'p50':>7} {'p99':>7} {'max':>7} {'bound':>7}"]
    for recovery in recoveries:
        if recovery.alone_spread is not None and recovery.bound is not None:
            s = recovery.alone_spread
            late = "" if recovery.within else "  TOO LATE"
            lines.append(
                f"{recovery.name:42} {s.count:4} {s.p50:7.2f} {s.p99:7.2f} {s.max:7.2f} {recovery.bound:7.2f}{late}"
            )
    return lines
