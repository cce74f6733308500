"""Postgres stopped, killed, frozen and failed over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGKILL, SIGQUIT

from chaos.backends.cluster import Capability
from chaos.faults.fault import Blow, Fault, Hit, Scene
from chaos.faults.outages import answers, holds_down, lets_end
from chaos.faults.processes import freezes

FAMILY = "postgres"
PRIMARY = "postgres-leader"
STANDBY = "postgres-follower"
SIGNALS = frozenset({Capability.SIGNAL, Capability.HOLD})
# One at a time: with the primary's disk gone, its standby is all there is.
STRAINS = frozenset({"postgres"})


@asynccontextmanager
async def promotes(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """The primary is killed and its standby takes over."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.postgres_failover()
    await answers(scene)
    yield Hit((primary,), f"promoted {await scene.aimed(PRIMARY, 0.0)}")


def faults() -> list[Fault]:
    """This family."""
    return [
        Fault(
            "stop-postgres-at-once",
            FAMILY,
            "the primary stopped in immediate mode (SIGQUIT)",
            (PRIMARY,),
            holds_down(SIGQUIT),
            (0.0, 8.0),
            SIGNALS,
            STRAINS,
        ),
        Fault(
            "kill-postgres",
            FAMILY,
            "SIGKILL to the primary",
            (PRIMARY,),
            holds_down(SIGKILL),
            (0.0, 8.0),
            frozenset({Capability.HOLD}),
            STRAINS,
        ),
        Fault(
            "terminate-postgres",
            FAMILY,
            "SIGTERM to the primary, then SIGINT",
            (PRIMARY,),
            lets_end,
            (0.5, 5.0),
            SIGNALS,
            STRAINS,
        ),
        Fault(
            "freeze-postgres",
            FAMILY,
            "the primary and its processes stand still",
            (PRIMARY,),
            freezes,
            (2.0, 20.0),
            frozenset({Capability.FREEZE}),
            STRAINS,
            recovery=15.0,
        ),
        Fault(
            "promote-standby",
            FAMILY,
            "SIGKILL to the primary, its standby takes over",
            (PRIMARY,),
            promotes,
            needs=frozenset({Capability.POSTGRES_FAILOVER}),
            strains=STRAINS,
            recovery=15.0,
        ),
        Fault(
            "kill-standby",
            FAMILY,
            "SIGKILL to the standby",
            (STANDBY,),
            holds_down(SIGKILL),
            (0.0, 5.0),
            frozenset({Capability.POSTGRES_FAILOVER, Capability.HOLD}),
            STRAINS,
            recovery=15.0,
        ),
    ]
