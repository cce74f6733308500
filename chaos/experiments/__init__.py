"""Experiments: which faults come when."""

from chaos.experiments.plan import Step, plan
from chaos.experiments.preset import PRESETS, Preset
from chaos.experiments.siege import besieged, siege

__all__ = ["PRESETS", "Preset", "Step", "besieged", "plan", "siege"]
