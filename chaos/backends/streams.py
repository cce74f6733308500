"""Redis asked from outside: commands, keys, what the streams hold."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis

from chaos.backends.cluster import StreamSize

ANSWER_SECONDS = 5.0


async def command(url: str, *words: str | int) -> Any:
    """Runs a command on a connection of its own."""
    async with _connected(url) as server:
        return await server.execute_command(*words)  # type: ignore[no-untyped-call]


async def keys(url: str) -> int:
    """How many keys there are."""
    return int(await command(url, "DBSIZE"))


async def sizes(url: str) -> dict[str, StreamSize]:
    """Length and unacknowledged entries of each stream. One that goes meanwhile may be left out."""
    async with _connected(url) as server:
        found = [key async for key in server.scan_iter(_type="STREAM")]
        measured = {key.decode(): await _size(server, key) for key in found}
    return {key: size for key, size in measured.items() if size is not None}


async def _size(server: "redis.Redis", key: bytes) -> StreamSize | None:
    try:
        groups = await server.xinfo_groups(key)
    except redis.ResponseError:
        if await server.exists(key):
            raise
        return None  # swept, since the server listed it
    return StreamSize(await server.xlen(key), sum(int(group["pending"]) for group in groups))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["redis.Redis"]:
    server = redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
    try:
        yield server
    finally:
        await server.aclose()
