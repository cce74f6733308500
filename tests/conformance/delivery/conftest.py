"""Redis and its double in memory, to be used and to be mistreated."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.storage.delivery import Delivery
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.delivery import RedisDelivery
from taskyard_core.storage.redis.keys import Keys
from taskyard_server.dev.valkey import Valkey


class Stage(Protocol):
    """A server, and a client of it."""

    @property
    def delivery(self) -> Delivery:
        """The client."""

    async def wipe(self) -> None:
        """Empties the server, as an operator would."""

    async def drop(self, lane: str) -> None:
        """Deletes one lane."""

    async def stop(self) -> None:
        """Ends the server's process, in peace."""

    async def kill(self) -> None:
        """Ends the server's process."""

    async def start(self) -> None:
        """Starts it again."""


class RealStage:
    def __init__(self, redis: Redis, server: Valkey) -> None:
        self._redis = redis
        self._keys = Keys()
        self._server = server
        self.delivery = RedisDelivery(redis, self._keys)

    async def wipe(self) -> None:
        await self._redis.flushall()
        await self._redis.script_flush()

    async def drop(self, lane: str) -> None:
        await self._redis.delete(self._keys.lane(lane))

    async def stop(self) -> None:
        await self._server.stop()

    async def kill(self) -> None:
        self._server.kill()
        await self._server.process.wait(10)

    async def start(self) -> None:
        await self._server.start()
        await self._server.wait_ready()


class MemoryStage:
    def __init__(self) -> None:
        words = (f"word{number}" for number in itertools.count())
        self._server = RedisServer(asyncio.get_running_loop().time, lambda: next(words))
        self.delivery = MemoryDelivery(self._server)

    async def wipe(self) -> None:
        self._server.wipe()

    async def drop(self, lane: str) -> None:
        self._server.drop(lane)

    async def stop(self) -> None:
        self._server.stop()

    async def kill(self) -> None:
        self._server.stop()

    async def start(self) -> None:
        self._server.start()


@pytest_asyncio.fixture(loop_scope="session")
async def redis_stage(redis_url: str, valkey_server: Valkey) -> AsyncIterator[RealStage]:
    async with connect(redis_url) as redis:
        yield RealStage(redis, valkey_server)


@pytest_asyncio.fixture(loop_scope="session")
async def own_redis_stage(tmp_path: Path) -> AsyncIterator[RealStage]:
    server = Valkey(tmp_path / "valkey")
    await server.start()
    await server.wait_ready()
    async with connect(server.url) as redis:
        yield RealStage(redis, server)
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def memory_stage() -> MemoryStage:
    return MemoryStage()


@pytest.fixture(params=["memory", "redis"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """An empty server that others use as well."""
    stage: Stage = request.getfixturevalue(f"{request.param}_stage")
    return stage


@pytest.fixture(params=["memory", "redis"])
def own_stage(request: pytest.FixtureRequest) -> Stage:
    """A server of the test's own, that may be stopped."""
    stage: Stage = request.getfixturevalue("memory_stage" if request.param == "memory" else "own_redis_stage")
    return stage
