"""Restarting parts one after another, as a rolling update does: the next one goes when the last one is ready."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping

import httpx

from chaos.faults.fault import Scene

PATIENCE_SECONDS = 15.0
"""A part that other faults keep from becoming ready is not waited for any longer."""
ASK_SECONDS = 1.0
LOOK_SECONDS = 0.1
PROBED = ("rest", "http")


async def roll(
    scene: Scene, parts: Iterable[str], *, environment: Mapping[str, str] | None = None, version: str | None = None
) -> None:
    """Restarts the parts in this order."""
    for part in parts:
        await scene.cluster.restart(part, environment=environment, version=version)
        await _ready(scene, part)


async def _ready(scene: Scene, name: str) -> None:
    addresses = next(part.addresses for part in scene.cluster.parts() if part.name == name)
    url = next((addresses[purpose] for purpose in PROBED if purpose in addresses), None)
    if url is None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(timeout=ASK_SECONDS) as client:
            while not await _says_ready(client, f"{url}/readyz"):  # noqa: ASYNC110 - a probe has to be asked
                await asyncio.sleep(LOOK_SECONDS)


async def _says_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
