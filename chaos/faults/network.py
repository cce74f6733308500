"""Every pair of parts that talk to each other, with the way between them spoilt up- or downstream."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from chaos.backends.cluster import Capability, Direction, Role, Toxic
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene

FAMILY = "network"
PAIRS = (
    (Role.SCHEDULER, Role.POSTGRES),
    (Role.SCHEDULER, Role.REDIS),
    (Role.SCHEDULER, Role.ETCD),
    (Role.DISPATCHER, Role.POSTGRES),
    (Role.DISPATCHER, Role.REDIS),
    (Role.DISPATCHER, Role.ETCD),
    (Role.WORKER, Role.DISPATCHER),
    ("client", Role.SCHEDULER),
    ("standby", Role.POSTGRES),
    ("replica", Role.REDIS),
    (Role.ETCD, Role.ETCD),
)
TARGETS = tuple(f"{source}>{target} {direction}" for source, target in PAIRS for direction in Direction)


def spoils(kind: Toxic, attributes: Mapping[str, int]) -> Injection:
    """All links from one part to the parts of another role get a toxic."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        pair, direction = blow.target.split(" ")
        source, target = pair.split(">")
        links = scene.links(source, target, blow.draw)
        try:
            for link in links:
                await scene.cluster.toxic(link, kind, attributes, Direction(direction))
            yield Hit((links[0].source,), f"to {target if len(links) > 1 else links[0].target}, {direction}")
        finally:
            await asyncio.gather(*(scene.cluster.heal(link) for link in links))

    return inject


def faults() -> list[Fault]:
    """This family."""
    return [
        _fault("latency", "every packet 150 ms late", Toxic.LATENCY, {"latency": 150, "jitter": 0}),
        _fault("jitter", "every packet 0 to 400 ms late", Toxic.LATENCY, {"latency": 200, "jitter": 200}),
        _fault("bandwidth", "32 KB a second", Toxic.BANDWIDTH, {"rate": 32}),
        _fault("half-open", "nothing comes through, nothing is closed", Toxic.TIMEOUT, {"timeout": 0}),
        _fault("reset", "connections are reset", Toxic.RESET, {"timeout": 0}),
        _fault("slow-close", "connections close a second late", Toxic.SLOW_CLOSE, {"delay": 1000}),
        _fault("cut", "connections are closed and refused", Toxic.DOWN, {}),
    ]


def _fault(name: str, what: str, kind: Toxic, attributes: Mapping[str, int]) -> Fault:
    return Fault(
        name,
        FAMILY,
        what,
        TARGETS,
        spoils(kind, attributes),
        (1.0, 12.0),
        frozenset({Capability.LINKS}),
        recovery=15.0,
        weight=2,
    )
