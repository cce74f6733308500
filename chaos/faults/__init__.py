"""Everything that experiments do to a cluster, one module per family."""

from collections.abc import Iterable, Mapping
from functools import cache

from chaos.backends.cluster import Capability
from chaos.faults import (
    etcd,
    failpoints,
    network,
    postgres,
    processes,
    redis,
    refusals,
    resources,
    upgrades,
    workers,
)
from chaos.faults.fault import Blow, Fault, Hit, Scene

__all__ = ["Blow", "Fault", "Hit", "Scene", "all_faults", "possible_faults"]

FAMILIES = (processes, postgres, redis, etcd, refusals, network, resources, workers, upgrades, failpoints)


@cache
def all_faults() -> Mapping[str, Fault]:
    """Every fault by its name."""
    return {fault.name: fault for family in FAMILIES for fault in family.faults()}


def possible_faults(capabilities: Iterable[Capability]) -> list[Fault]:
    """Those that a cluster of these capabilities can be made to suffer."""
    given = frozenset(capabilities)
    return [fault for fault in all_faults().values() if fault.needs <= given]
