"""Servers that die, stop, wait or lose an answer exactly between two steps of theirs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chaos.backends.cluster import Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene
from chaos.faults.rolling import roll

FAMILY = "failpoints"
VARIABLE = "TASKYARD_FAILPOINTS"
ENVIRONMENT = "environment"
"""What faults strain that restart servers in another way than they were."""
DUTIES = ("outbox", "promotion", "expiry", "reaping", "rebuild", "audit", "retention")
# Reached once a batch: dozens of times a second under load.
BATCH_ACTIONS = ("crash:0.02", "stop:0.02", "sleep(2):0.1", "error:0.2")
# Reached once a round of the duty: at most five times a second.
DUTY_ACTIONS = ("crash:0.5", "stop", "sleep(3)", "error:0.7")


def arms(place: str, role: Role, *, all_of_them: bool) -> Injection:
    """Parts are restarted with a failpoint on, and again without it."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        parts = await _followers_first(scene, role) if all_of_them else [scene.part(role, blow.draw)]
        try:
            await roll(scene, parts, environment={VARIABLE: f"{place}={blow.target}"})
            yield Hit(tuple(parts), f"{place}={blow.target}")
        finally:
            # One that stopped itself could not hear that it is to end.
            for part in parts:
                await scene.cluster.thaw(part)
            await roll(scene, parts, environment={VARIABLE: ""})

    return inject


async def _followers_first(scene: Scene, role: Role) -> list[str]:
    leader = await scene.cluster.leader(role)
    return sorted((part.name for part in scene.cluster.parts(role)), key=lambda name: (name == leader, name))


def faults() -> list[Fault]:
    """This family."""
    dispatcher = ("lane-taken", "claimed", "result-received", "outcome-committed")
    return [
        _fault("submit-committed", Role.SCHEDULER, BATCH_ACTIONS),
        *(_fault(place, Role.DISPATCHER, BATCH_ACTIONS) for place in dispatcher),
        *(_fault(f"duty-{duty}", Role.DISPATCHER, DUTY_ACTIONS, all_of_them=True) for duty in DUTIES),
    ]


def _fault(place: str, role: Role, actions: Sequence[str], *, all_of_them: bool = False) -> Fault:
    return Fault(
        f"failpoint-{place}",
        FAMILY,
        f"a {role} crashes, stops, waits or loses an answer at {place}",
        tuple(actions),
        arms(place, role, all_of_them=all_of_them),
        (3.0, 8.0),
        frozenset({Capability.ENVIRONMENT, Capability.FREEZE}),
        frozenset({ENVIRONMENT}),
        recovery=20.0,
    )
