"""Servers that die, stop, wait or lose an answer exactly between two steps of theirs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from signal import SIGTERM

from chaos.backends.cluster import Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene
from chaos.faults.rolling import roll

FAMILY = "failpoints"
VARIABLE = "TASKYARD_FAILPOINTS"
LEADERSHIP = frozenset({"leadership"})
"""What faults strain that need a certain dispatcher to lead."""
DUTIES = ("outbox", "promotion", "expiry", "reaping", "rebuild", "audit", "retention")
ELECTED_SECONDS = 12.0
LOOK_SECONDS = 0.1
# Reached once a batch: dozens of times a second under load.
BATCH_ACTIONS = ("crash:0.02", "stop:0.02", "sleep(2):0.1", "error:0.2")
# Reached once a round of the duty: at most five times a second.
DUTY_ACTIONS = ("crash:0.5", "stop", "sleep(3)", "error:0.7")


def arms(place: str, role: Role, *, leads: bool = False) -> Injection:
    """One part is restarted with a failpoint on, made to lead if only a leader gets there, and restarted without it."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        part = scene.part(role, blow.draw)
        try:
            await roll(scene, [part], environment={VARIABLE: f"{place}={blow.target}"})
            if leads:
                await _make_leader(scene, part)
            yield Hit((part,), f"{place}={blow.target}")
        finally:
            # One that stopped itself could not hear that it is to end.
            await scene.cluster.thaw(part)
            await roll(scene, [part], environment={VARIABLE: ""})

    return inject


async def _make_leader(scene: Scene, part: str) -> None:
    """Has those end that were candidates before it; each of them is the last one when it is back."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ELECTED_SECONDS):
            while (leader := await scene.cluster.leader()) != part:
                if leader is not None:
                    await scene.cluster.signal(leader, SIGTERM)
                while await scene.cluster.leader() in (leader, None):  # noqa: ASYNC110 - the API has to be asked
                    await asyncio.sleep(LOOK_SECONDS)


def faults() -> list[Fault]:
    """This family."""
    dispatcher = ("lane-taken", "claimed", "result-received", "outcome-committed")
    return [
        _fault("submit-committed", Role.SCHEDULER, BATCH_ACTIONS),
        *(_fault(place, Role.DISPATCHER, BATCH_ACTIONS) for place in dispatcher),
        *(_fault(f"duty-{duty}", Role.DISPATCHER, DUTY_ACTIONS, leads=True) for duty in DUTIES),
    ]


def _fault(place: str, role: Role, actions: Sequence[str], *, leads: bool = False) -> Fault:
    return Fault(
        f"failpoint-{place}",
        FAMILY,
        f"a {role} crashes, stops, waits or loses an answer at {place}",
        tuple(actions),
        arms(place, role, leads=leads),
        (3.0, 8.0),
        frozenset({Capability.ENVIRONMENT, Capability.FREEZE}),
        LEADERSHIP if leads else frozenset(),
        recovery=20.0,
    )
