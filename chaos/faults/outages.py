"""How a store is made to be away for a while; the stores' families share it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGINT, Signals

import asyncpg

from chaos.backends.cluster import Role
from chaos.faults.fault import Blow, Hit, Injection, Scene

START_SECONDS = 60.0
LOOK_SECONDS = 0.05


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
    """Inside, the part stays away once it has ended. Left, Postgres answers again: the rest is up to Taskyard."""
    await scene.cluster.hold(part)
    try:
        yield
    finally:
        await scene.cluster.release(part)
        if part.startswith(Role.POSTGRES):
            await answers(scene)


async def answers(scene: Scene) -> None:
    """Waits until Postgres takes statements."""
    async with asyncio.timeout(START_SECONDS):
        while not await _answers(scene):  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(LOOK_SECONDS)


async def _answers(scene: Scene) -> bool:
    try:
        async with asyncio.timeout(1.0):
            await scene.cluster.postgres_execute("SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True
