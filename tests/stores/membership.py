"""Registries at work, and what a watch of them knows."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from taskyard_core.storage.etcd import PrefixWatch


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_known(watch: PrefixWatch, count: int, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while watch.revision == 0 or len(watch.current) != count:
            await anext(watch)
