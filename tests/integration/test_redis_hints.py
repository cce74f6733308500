"""Hints arrive while the server is there, and their reader learns when some may have been missed."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.storage.hints import CancelRequested, Hint, Reconnected
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.hint_stream import HintStream
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.redis.keys import Keys
from taskyard_server.dev.valkey import Valkey

KEYS = Keys("test")


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A server of the test's own, to be ill-treated."""
    valkey = Valkey(tmp_path / "valkey")
    await valkey.start()
    await valkey.wait_ready()
    yield valkey
    await valkey.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def redis(server: Valkey) -> AsyncIterator[Redis]:
    async with connect(server.url, command_timeout=0.5) as client:
        yield client


async def subscribers(redis: Redis, channel: str, count: int) -> None:
    while (await redis.pubsub_numsub(channel))[0][1] != count:
        pass


async def pings(redis: Redis, count: int) -> None:
    while (await redis.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"] < count:
        pass


class Alarm(logging.Handler):
    """Rings when anything is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.rung = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.rung.set()


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    handler = Alarm()
    logger = logging.getLogger("taskyard_core.storage")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_silent_server_is_noticed(server: Valkey, redis: Redis, alarm: Alarm) -> None:
    assert server.pid is not None
    async with HintStream(redis, KEYS, CancelRequested, quiet=0.1) as stream:
        assert await anext(stream) == Reconnected()
        os.kill(server.pid, signal.SIGSTOP)
        following = asyncio.ensure_future(anext(stream))
        await alarm.rung.wait()
        os.kill(server.pid, signal.SIGCONT)
        assert await following == Reconnected()


async def test_silence_alone_is_no_reason_to_reconnect(redis: Redis) -> None:
    heard: list[Hint] = []

    async def listen() -> None:
        async with HintStream(redis, KEYS, CancelRequested, quiet=0.02) as stream:
            async for hint in stream:
                heard.append(hint)
                if isinstance(hint, CancelRequested):
                    return

    reader = asyncio.ensure_future(listen())
    await pings(redis, 5)
    await Hints(redis, KEYS).cancel_requested(["task"])
    await reader
    assert heard == [Reconnected(), CancelRequested(("task",))]


async def test_a_closed_stream_leaves_no_subscriber(redis: Redis) -> None:
    async with HintStream(redis, KEYS, CancelRequested) as stream:
        await anext(stream)
        await subscribers(redis, KEYS.cancel_requested, 1)
    await subscribers(redis, KEYS.cancel_requested, 0)
