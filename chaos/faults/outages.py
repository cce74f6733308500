"""How a store is made to be away for a while; the stores' families share it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGINT, Signals

from chaos.backends.cluster import Role
from chaos.faults.fault import Blow, Hit, Injection, Scene


def holds_down(number: Signals) -> Injection:
    """A store ends by a signal and is not started again until the fault is over."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        part = await scene.aimed(blow.target, blow.draw)
        async with held(scene, part):
            await scene.cluster.signal(part, number)
            yield Hit((part,))

    return inject


@asynccontextmanager
async def lets_end(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Postgres is told to end once its clients have gone (SIGTERM), and then without waiting for them (SIGINT)."""
    part = await scene.aimed(blow.target, blow.draw)
    async with held(scene, part):
        await scene.cluster.signal(part, Signals.SIGTERM)
        try:
            yield Hit((part,))
        finally:
            if any(running.name == part for running in scene.running(Role.POSTGRES)):
                await scene.cluster.signal(part, SIGINT)


@asynccontextmanager
async def held(scene: Scene, part: str) -> AsyncIterator[None]:
    """Inside, the part stays away once it has ended."""
    await scene.cluster.hold(part)
    try:
        yield
    finally:
        await scene.cluster.release(part)
