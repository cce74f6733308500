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

    def links(self, source: Role, target: Role, draw: float) -> list[Link]:
        """Every link from one part of a role to the parts of another."""
        sources = {part.name for part in self.cluster.parts(source)}
        links = [
            link for link in self.cluster.links if link.source in sources and link.target.partition("-")[0] == target
        ]
        chosen = picked(sorted({link.source for link in links}), draw)
        return [link for link in links if link.source == chosen]

    def running(self, role: Role) -> list[Part]:
        """Parts of a role whose process is there, as far as one can know."""
        return [part for part in self.cluster.parts(role) if part.pid is not None]


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


def picked(things: Sequence[Thing], draw: float) -> Thing:
    """The thing that a number in [0, 1) points at. Raises LookupError when there is none."""
    if not things:
        raise LookupError("there is nothing to strike")
    return things[int(draw * len(things))]
