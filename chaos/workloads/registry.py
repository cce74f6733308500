"""Workloads by name. A new one is a module and a line here."""

from collections.abc import Callable, Mapping

from chaos.workloads.cancelled import Cancelled
from chaos.workloads.delayed import Delayed
from chaos.workloads.failing import Poison, Retries
from chaos.workloads.hostile import Hostile
from chaos.workloads.keyed import Keyed
from chaos.workloads.mix import Mix
from chaos.workloads.plain import Large, Placed, Plain, Priorities, Slow
from chaos.workloads.redriven import Redriven
from chaos.workloads.rows import Rows
from chaos.workloads.workload import Workload

WORKLOADS: Mapping[str, Callable[[], Workload]] = {
    load.name: load
    for load in (
        *(Plain, Slow, Retries, Poison, Keyed, Placed, Priorities),
        *(Delayed, Cancelled, Redriven, Large, Hostile, Rows),
    )
}

MIX: Mapping[str, float] = {
    "plain": 60,
    "slow": 6,
    "keyed": 10,
    "retries": 6,
    "placed": 6,
    "priorities": 6,
    "delayed": 6,
    "cancelled": 3,
    "redriven": 2,
    "large": 0.5,
    "poison": 0.1,
    "hostile": 0.5,
    "rows": 0.2,
}
"""Shares of the load in the workload `mix`."""


def workload(name: str) -> Workload:
    """A workload by name: one of them, `mix`, or a mix of one's own such as `plain=9,large=1`; raises KeyError."""
    if name == "mix":
        return _mix(name, MIX)
    if "=" in name:
        pairs = (part.split("=") for part in name.split(","))
        return _mix(name, {load: float(weight) for load, weight in pairs})
    return WORKLOADS[name]()


def _mix(name: str, weights: Mapping[str, float]) -> Mix:
    return Mix(name, {WORKLOADS[load](): weight for load, weight in weights.items()})
