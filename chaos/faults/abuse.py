"""Greedy clients beside the honest load. Not among the faults of ordinary plans: `chaos abuse` does all at once."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.abuse.registry import ABUSES
from chaos.abuse.target import Target
from chaos.backends.cluster import SERVERS, Cluster, Role
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene

FAMILY = "abuse"
END_SECONDS = 30.0


def abuses(name: str, seconds: float) -> Injection:
    """A process that abuses for so long."""

    @asynccontextmanager
    async def inject(scene: Scene, _: Blow) -> AsyncIterator[Hit]:
        environment = {**os.environ, **target_of(scene.cluster, time.time() + seconds).environment()}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "chaos.abuse", name, env=environment)
        try:
            yield Hit(("clients",), ABUSES[name].what)
        finally:
            await _ended(process)

    return inject


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(END_SECONDS):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code:
        raise RuntimeError(f"the abuser ended with {code}")


def target_of(cluster: Cluster, until: float) -> Target:
    """The addresses of a cluster, not through any link."""
    servers = [part for role in SERVERS for part in cluster.parts(role)]
    return Target(
        rest=[part.addresses["rest"] for part in cluster.parts(Role.SCHEDULER)],
        schedulers=[part.addresses["grpc"] for part in cluster.parts(Role.SCHEDULER)],
        dispatchers=[part.addresses["session"] for part in cluster.parts(Role.DISPATCHER)],
        http=[
            part.addresses[purpose].removeprefix("http://")
            for part in servers
            for purpose in ("rest", "http")
            if purpose in part.addresses
        ],
        until=until,
    )


def faults(seconds: float) -> list[Fault]:
    """All, each for so long."""
    return [
        Fault(name, FAMILY, abuse.what, ("clients",), abuses(name, seconds), (seconds, seconds))
        for name, abuse in ABUSES.items()
    ]
