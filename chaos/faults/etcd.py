"""etcd's members killed, frozen and outvoted, and its history compacted under a watcher."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGKILL, SIGTERM

from chaos.backends.cluster import Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Scene
from chaos.faults.outages import held, holds_down
from chaos.faults.processes import freezes

FAMILY = "etcd"
HOLDS = frozenset({Capability.HOLD})
MEMBERS = frozenset({Capability.ETCD_MEMBERS})
STRAINS = frozenset({"etcd"})


@asynccontextmanager
async def loses_quorum(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """More than half of the members are away."""
    members = [part.name for part in scene.cluster.parts(Role.ETCD)]
    turn = int(blow.draw * len(members))
    lost = tuple((members[turn:] + members[:turn])[: len(members) // 2 + 1])
    async with AsyncExitStack() as stack:
        for member in lost:
            await stack.enter_async_context(held(scene, member))
        await asyncio.gather(*(scene.cluster.signal(member, SIGKILL) for member in lost))
        yield Hit(lost)


@asynccontextmanager
async def moves_leader(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """etcd's leadership goes to another member without anybody ending."""
    before = await scene.aimed(blow.target, blow.draw)
    yield Hit((before,), f"to {await scene.cluster.etcd_move_leader()}")


@asynccontextmanager
async def compacts_ahead(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """A watcher stands still while sessions change, and what it missed is compacted away before it goes on."""
    watcher = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.freeze(watcher)
    try:
        worker = scene.part(Role.WORKER, blow.draw)
        # Its goodbye and its next hello are revisions that the watcher does not see.
        await scene.cluster.signal(worker, SIGTERM)
        yield Hit((watcher,), f"while {worker} is restarted")
        await scene.cluster.etcd_compact()
    finally:
        await scene.cluster.thaw(watcher)


def faults() -> list[Fault]:
    """This family."""
    return [
        Fault("kill-etcd", FAMILY, "SIGKILL to a member", ("etcd",), holds_down(SIGKILL), (0.0, 10.0), HOLDS, STRAINS),
        Fault(
            "kill-etcd-leader",
            FAMILY,
            "SIGKILL to etcd's leader",
            ("etcd-leader",),
            holds_down(SIGKILL),
            (0.0, 10.0),
            HOLDS,
            STRAINS,
        ),
        Fault(
            "terminate-etcd", FAMILY, "SIGTERM to a member", ("etcd",), holds_down(SIGTERM), (0.0, 5.0), HOLDS, STRAINS
        ),
        Fault(
            "freeze-etcd",
            FAMILY,
            "SIGSTOP to a member or to etcd's leader",
            ("etcd-follower", "etcd-leader"),
            freezes,
            (2.0, 30.0),
            frozenset({Capability.FREEZE}),
            STRAINS,
        ),
        Fault(
            "lose-quorum",
            FAMILY,
            "SIGKILL to more than half of the members",
            ("etcd",),
            loses_quorum,
            (2.0, 20.0),
            HOLDS | MEMBERS,
            STRAINS,
            recovery=15.0,
        ),
        Fault(
            "move-etcd-leader",
            FAMILY,
            "etcd's leadership moved",
            ("etcd-leader",),
            moves_leader,
            needs=MEMBERS,
            strains=STRAINS,
        ),
        Fault(
            "compact-ahead",
            FAMILY,
            "compaction ahead of a paused watcher",
            ("leader", "dispatcher", "scheduler"),
            compacts_ahead,
            (2.0, 8.0),
            frozenset({Capability.FREEZE}),
            STRAINS,
            recovery=15.0,
        ),
    ]
