"""What experiments ask of Redis from outside."""

import asyncio

import redis.asyncio as redis

from chaos.backends import streams
from chaos.backends.cluster import StreamSize


async def test_streams_that_are_swept_meanwhile_are_left_out(redis_url: str) -> None:
    server = redis.Redis.from_url(redis_url)
    names = [f"swept-{number}" for number in range(300)]
    for name in names:
        await server.xgroup_create(name, "group", mkstream=True)
    await server.xadd("kept", {"a": "b"})
    measuring = asyncio.create_task(streams.sizes(redis_url))
    for name in names:
        await server.delete(name)
    found = await measuring
    assert found["kept"] == StreamSize(1, 0)
    assert set(found) <= {*names, "kept"}
    await server.delete("kept")
    await server.aclose()
