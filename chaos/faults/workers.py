"""Workers that misbehave rather than die."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.backends.cluster import MODE_VARIABLE, WORKS, Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene, Seconds

FAMILY = "workers"
ENVIRONMENT = "worker environment"


def behaves(mode: str) -> Injection:
    """One worker is restarted as one that misbehaves, and later as itself."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        part = scene.part(Role.WORKER, blow.draw)
        try:
            await scene.cluster.restart(part, environment={MODE_VARIABLE: mode})
            yield Hit((part,))
        finally:
            await scene.cluster.restart(part, environment={MODE_VARIABLE: WORKS})

    return inject


def faults() -> list[Fault]:
    """This family."""
    return [
        _fault("deafen-worker", "a worker talks but stops reading its stream", "deaf", (8.0, 20.0)),
        _fault("replay-worker", "a worker keeps results back and repeats old ones", "replay", (10.0, 25.0)),
    ]


def _fault(name: str, what: str, mode: str, seconds: Seconds) -> Fault:
    needs = frozenset({Capability.ENVIRONMENT})
    return Fault(name, FAMILY, what, (Role.WORKER,), behaves(mode), seconds, needs, frozenset({ENVIRONMENT}), 20.0)
