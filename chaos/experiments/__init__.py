"""Experiments: which faults come when."""

from chaos.experiments.plan import Step, plan
from chaos.experiments.preset import PRESETS, Preset

__all__ = ["PRESETS", "Preset", "Step", "plan"]
