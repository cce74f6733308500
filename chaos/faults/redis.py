"""Redis emptied, killed, filled, frozen and failed over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGKILL, SIGTERM

from chaos.backends.cluster import Capability
from chaos.faults.fault import Blow, Fault, Hit, Scene, picked
from chaos.faults.outages import holds_down
from chaos.faults.processes import freezes

FAMILY = "redis"
PRIMARY = "redis-leader"
REPLICA = "redis-follower"
HOLDS = frozenset({Capability.HOLD})
STRAINS = frozenset({"redis"})


@asynccontextmanager
async def flushes(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Everything in it is gone from one moment to the next."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.redis_command("FLUSHALL")
    yield Hit((primary,))


@asynccontextmanager
async def drops_lane(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """One stream is deleted behind everybody's back; the epoch says nothing of it."""
    primary = await scene.aimed(blow.target, blow.draw)
    lanes = sorted(await _streams(scene))
    lane = picked(lanes, blow.draw) if lanes else "none"
    await scene.cluster.redis_command("DEL", lane)
    yield Hit((primary,), lane)


@asynccontextmanager
async def wipes(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """It is killed and comes back empty."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.wipe(primary)
    yield Hit((primary,))


@asynccontextmanager
async def fills(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """It takes no more writes: its memory is used up."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.redis_command("CONFIG", "SET", "maxmemory", "1")
    try:
        yield Hit((primary,))
    finally:
        await scene.cluster.redis_command("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def fails_over(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """The primary is killed and its replica, which may lack the last writes, takes over."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.redis_failover()
    yield Hit((primary,), f"promoted {await scene.aimed(PRIMARY, 0.0)}")


async def _streams(scene: Scene) -> list[str]:
    cursor, found = "0", list[str]()
    while True:
        cursor, keys = await scene.cluster.redis_command("SCAN", cursor, "TYPE", "stream", "COUNT", 1000)
        found += [_text(key) for key in keys]
        cursor = _text(cursor)
        if cursor == "0":
            return found


def _text(word: str | bytes | int) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def faults() -> list[Fault]:
    """This family."""
    failover = frozenset({Capability.REDIS_FAILOVER})
    return [
        Fault("flush-redis", FAMILY, "FLUSHALL", (PRIMARY,), flushes, strains=STRAINS, recovery=10.0),
        Fault("drop-lane", FAMILY, "DEL of a lane", (PRIMARY,), drops_lane, strains=STRAINS, recovery=40.0),
        Fault(
            "wipe-redis",
            FAMILY,
            "SIGKILL, and it starts empty (no AOF)",
            (PRIMARY,),
            wipes,
            needs=frozenset({Capability.WIPE}),
            strains=STRAINS,
        ),
        Fault(
            "kill-redis", FAMILY, "SIGKILL to the primary", (PRIMARY,), holds_down(SIGKILL), (0.0, 10.0), HOLDS, STRAINS
        ),
        Fault(
            "terminate-redis",
            FAMILY,
            "SIGTERM to the primary",
            (PRIMARY,),
            holds_down(SIGTERM),
            (0.0, 5.0),
            HOLDS,
            STRAINS,
        ),
        Fault(
            "freeze-redis",
            FAMILY,
            "SIGSTOP to the primary",
            (PRIMARY,),
            freezes,
            (2.0, 30.0),
            frozenset({Capability.FREEZE}),
            STRAINS,
        ),
        Fault("fill-redis", FAMILY, "maxmemory reached", (PRIMARY,), fills, (2.0, 15.0), strains=STRAINS),
        Fault(
            "promote-replica",
            FAMILY,
            "SIGKILL to the primary, its replica takes over",
            (PRIMARY,),
            fails_over,
            needs=failover,
            strains=STRAINS,
            recovery=15.0,
        ),
        Fault(
            "kill-replica",
            FAMILY,
            "SIGKILL to the replica",
            (REPLICA,),
            holds_down(SIGKILL),
            (0.0, 5.0),
            failover | HOLDS,
            STRAINS,
        ),
    ]
