"""What a fault is: data that an experiment plans with, and how it is done to a cluster."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from chaos.backends.cluster import Capability, Cluster, Link, Part, Role

Thing = TypeVar("Thing")
Seconds = tuple[float, float]
MOMENT: Seconds = (0.0, 0.0)
"""The duration of what is done at once and can't be taken back, such as a kill."""


class Hit(NamedTuple):
    """Which parts a fault struck in the end, and what else there is to say of it."""

    parts: tuple[str, ...]
    detail: str = ""


class Blow(NamedTuple):
    """One use of a fault: one of its targets, and a number in [0, 1) that decides what the target leaves open."""

    target: str
    draw: float


@dataclass(frozen=True)
class Scene:
    """The cluster under experiment, and the parts that faults have in their hands now."""

    cluster: Cluster
    struck: set[str] = field(default_factory=set)

    def part(self, role: Role, draw: float, *, but: str | None = None) -> str:
        """A part of a role, if possible one that no other fault has, and never `but`."""
        names = [part.name for part in self.cluster.parts(role) if part.name != but]
        free = [name for name in names if name not in self.struck]
        return picked(free or names, draw)

    async def aimed(self, target: str, draw: float) -> str:
        """The part that a target means: a role, "leader", "ROLE-leader" or "ROLE-follower"."""
        role, _, rank = target.partition("-")
        if target == "leader":
            role, rank = Role.DISPATCHER, "leader"
        if not rank:
            return self.part(Role(role), draw)
        leader = await self.cluster.leader(Role(role))
        if rank == "follower":
            return self.part(Role(role), draw, but=leader)
        return leader or self.part(Role(role), draw)

    def links(self, source: str, target: str, draw: float) -> list[Link]:
        """Every link from one part of a kind to the parts of another; who is no part, such as a client, to one part."""
        parts = {part.name for part in self.cluster.parts()}
        between = [link for link in self.cluster.links if _kind(link.source) == source and _kind(link.target) == target]
        groups: dict[str, list[Link]] = {}
        for link in sorted(between):
            groups.setdefault(link.source if link.source in parts else link.target, []).append(link)
        return picked(list(groups.values()), draw)

    def running(self, role: Role) -> list[Part]:
        """Parts of a role whose process is there, as far as one can know."""
        return [part for part in self.cluster.parts(role) if part.pid is not None]


INNER = {"standby": "postgres", "replica": "redis", "etcd": "etcd"}
"""Stores whose members keep each other up to date over links."""
Injection = Callable[[Scene, Blow], AbstractAsyncContextManager[Hit]]
"""Entered, the fault is there; left, it is healed."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    `seconds` is how long it may last. Faults that `strain` the same thing never overlap: this keeps what the
    guarantee rests on, such as that Postgres and its standby aren't lost together. `recovery` is the stated bound:
    seconds after its end until tasks are completed again. `weight` is how often it comes beside the others.
    """

    name: str
    family: str
    what: str
    targets: tuple[str, ...]
    inject: Injection
    seconds: Seconds = MOMENT
    needs: frozenset[Capability] = frozenset()
    strains: frozenset[str] = frozenset()
    recovery: float = 10.0
    weight: int = 1

    def strained(self, target: str) -> frozenset[str]:
        """What must not be under another fault meanwhile: of ways, the way, and a store's own way to its like."""
        source, way, _ = target.partition(">")
        return self.strains | (frozenset({target, INNER.get(source, target)}) if way else frozenset())


def _kind(name: str) -> str:
    return name.partition("-")[0]


def picked(things: Sequence[Thing], draw: float) -> Thing:
    """The thing that a number in [0, 1) points at. Raises LookupError when there is none."""
    if not things:
        raise LookupError("there is nothing to strike")
    return things[int(draw * len(things))]
