"""Servers and workers that are killed, frozen and told to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGKILL, SIGTERM, Signals

from chaos.backends.cluster import SERVERS, Capability, Role
from chaos.faults.fault import MOMENT, Blow, Fault, Hit, Injection, Scene

FAMILY = "processes"
LIVING = (Role.SCHEDULER, Role.DISPATCHER, Role.WORKER)
FROZEN = (2.0, 60.0)


def sends(number: Signals) -> Injection:
    """One part gets a signal; the supervisor brings it back."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        part = await scene.aimed(blow.target, blow.draw)
        await scene.cluster.signal(part, number)
        yield Hit((part,))

    return inject


@asynccontextmanager
async def freezes(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """One part stands still, and then goes on as if nothing had been."""
    part = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.freeze(part)
    try:
        yield Hit((part,))
    finally:
        await scene.cluster.thaw(part)


@asynccontextmanager
async def kills_all(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Every part of a role ends at the same moment."""
    parts = tuple(part.name for part in scene.running(Role(blow.target)))
    await asyncio.gather(*(scene.cluster.signal(part, SIGKILL) for part in parts))
    yield Hit(parts)


@asynccontextmanager
async def kills_pair(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """A worker and a dispatcher end together: if it was its own, only the leader is left to notice."""
    parts = (scene.part(Role.WORKER, blow.draw), scene.part(Role.DISPATCHER, blow.draw))
    await asyncio.gather(*(scene.cluster.signal(part, SIGKILL) for part in parts))
    yield Hit(parts)


def faults() -> list[Fault]:
    """This family."""
    single = [fault for target in (*LIVING, "leader") for fault in _of(str(target))]
    return [
        *single,
        *(
            Fault(f"kill-all-{role}s", FAMILY, f"SIGKILL to every {role}", (role,), kills_all, recovery=15.0)
            for role in SERVERS
        ),
        Fault(
            "kill-worker-and-dispatcher",
            FAMILY,
            "SIGKILL to a worker and a dispatcher together",
            (Role.WORKER,),
            kills_pair,
            recovery=25.0,
        ),
    ]


def _of(target: str) -> list[Fault]:
    return [
        Fault(f"kill-{target}", FAMILY, f"SIGKILL to a {target}", (target,), sends(SIGKILL), MOMENT),
        Fault(f"terminate-{target}", FAMILY, f"SIGTERM to a {target}", (target,), sends(SIGTERM), MOMENT),
        Fault(
            f"freeze-{target}",
            FAMILY,
            f"SIGSTOP to a {target} for 2 to 60 s",
            (target,),
            freezes,
            FROZEN,
            frozenset({Capability.FREEZE}),
        ),
    ]
