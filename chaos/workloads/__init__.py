"""Workloads: what clients do while faults are injected, and what must be true of it afterwards."""

from chaos.workloads.workload import Stage, Workload

__all__ = ["Stage", "Workload"]
