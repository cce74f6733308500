"""A plan of its own: a quiet while to measure by, then every abuse at once until the end."""

from collections.abc import Iterable

from chaos.experiments.plan import Step
from chaos.experiments.preset import Preset
from chaos.faults.fault import Fault

QUIET = 60.0
STAGGER = 2.0
"""Seconds between the beginnings: a process that starts costs processor time that no client would."""


def besieged(preset: Preset) -> float:
    """For how many seconds each abuse lasts."""
    return preset.seconds - QUIET - preset.rest


def siege(preset: Preset, faults: Iterable[Fault]) -> list[Step]:
    """All of them."""
    seconds = besieged(preset)
    return [
        Step(QUIET + STAGGER * number, fault.name, fault.targets[0], seconds - STAGGER * number, 0.0, alone=False)
        for number, fault in enumerate(faults)
    ]
