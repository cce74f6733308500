"""What Chaos Mesh is told: pure, from a fault to the kind and the spec of its custom resource."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from chaos.backends.cluster import Direction, Role, Toxic, Unsupported

GROUP = "chaos-mesh.org"
VERSION = "v1alpha1"
KINDS = {"PodChaos": "podchaos", "NetworkChaos": "networkchaos", "TimeChaos": "timechaos", "IOChaos": "iochaos"}

NO_SPACE = 28  # ENOSPC
ALL = 100
# Packets, and bytes above the rate, that may wait.
QUEUE_BYTES = 20_000
BURST_BYTES = 10_000

Spec = dict[str, Any]
DIRECTIONS = {Direction.UPSTREAM: "to", Direction.DOWNSTREAM: "from"}


class Experiment(NamedTuple):
    """One custom resource."""

    kind: str
    spec: Spec


def pod(namespace: str, name: str) -> Spec:
    """Selects one pod."""
    return {"mode": "all", "selector": {"pods": {namespace: [name]}}}


def component(namespace: str, labels: Mapping[str, str]) -> Spec:
    """Selects all pods with some labels."""
    return {"mode": "all", "selector": {"namespaces": [namespace], "labelSelectors": dict(labels)}}


def absence(who: Spec) -> Experiment:
    """The pod is there and does nothing until the experiment is deleted."""
    return Experiment("PodChaos", {"action": "pod-failure", **who})


def clock(who: Spec, seconds: float) -> Experiment:
    """The wall clock is off."""
    return Experiment("TimeChaos", {**who, "timeOffset": f"{seconds:g}s", "clockIds": ["CLOCK_REALTIME"]})


def full_disk(who: Spec, volume: str) -> Experiment:
    """Whatever needs more room on a volume fails with ENOSPC."""
    methods = ["write", "mknod", "mkdir", "symlink", "link", "create", "fallocate"]
    spec = {"action": "fault", "errno": NO_SPACE, "percent": ALL, "methods": methods, "volumePath": volume}
    return Experiment("IOChaos", {**who, **spec})


def link(source: Spec, target: Spec, kind: Toxic, attributes: Mapping[str, int], direction: Direction) -> Experiment:
    """Packets between two pods are dropped or delayed. Raises Unsupported for what works on streams only."""
    towards = {**source, "target": target, "direction": DIRECTIONS[direction]}
    match kind:
        case Toxic.DOWN:
            spec = {**towards, "action": "partition", "direction": "both"}
        case Toxic.TIMEOUT if attributes.get("timeout", 0) == 0:
            spec = {**towards, "action": "partition"}
        case Toxic.LATENCY:
            delay = {"latency": f"{attributes['latency']}ms", "jitter": f"{attributes.get('jitter', 0)}ms"}
            spec = {**towards, "action": "delay", "delay": {**delay, "correlation": "0"}}
        case Toxic.BANDWIDTH:
            # "kbps" are kilobytes a second here, as toxiproxy's rate is.
            limits = {"rate": f"{attributes['rate']}kbps", "limit": QUEUE_BYTES, "buffer": BURST_BYTES}
            spec = {**towards, "action": "bandwidth", "bandwidth": limits}
        case _:
            raise Unsupported(f"{kind} works on streams; Chaos Mesh works on packets")
    return Experiment("NetworkChaos", spec)


def volume_of(role: Role, volumes: Mapping[Role, str]) -> str:
    """Where a role's pods mount their data. Raises Unsupported when nobody said."""
    if role not in volumes:
        raise Unsupported(f"where {role} keeps its data is not known: give its mount path in `volumes`")
    return volumes[role]
