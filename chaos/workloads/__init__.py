"""Workloads: what clients do while faults are injected, and what must be true of it afterwards."""

from chaos.workloads.fleet import FLEET, ODD, Group
from chaos.workloads.registry import MIX, WORKLOADS, workload
from chaos.workloads.workload import Stage, Workload

__all__ = ["FLEET", "MIX", "ODD", "WORKLOADS", "Group", "Stage", "Workload", "workload"]
