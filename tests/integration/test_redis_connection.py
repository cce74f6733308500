"""The connection: what an outage looks like, and that nothing is sent twice or answered with another's reply."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.storage.redis.script import Script
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_server.dev.valkey import Valkey

A = "default/mail/send/5/"


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A server of the test's own, to be ill-treated."""
    valkey = Valkey(tmp_path / "valkey")
    await valkey.start()
    await valkey.wait_ready()
    yield valkey
    await valkey.stop()


async def blocked_clients(redis: Redis, count: int) -> None:
    while (await redis.info("clients"))["blocked_clients"] != count:
        pass


async def test_a_cancelled_command_takes_its_connection_along(redis_url: str) -> None:
    async with connect(redis_url, max_connections=1) as redis, connect(redis_url) as other:
        waiting = Batch(redis)
        waiting.add("BLPOP", "nothing", 0)
        task = asyncio.ensure_future(waiting.send())
        await blocked_clients(other, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await other.lpush("nothing", "late")
        echo = Batch(redis)
        echo.add("ECHO", "mine")
        assert await echo.send() == [b"mine"]


async def test_a_server_that_is_gone_is_unavailable_and_found_again(server: Valkey) -> None:
    async with connect(server.url) as redis:
        store = LaneStore(redis, Keys())
        await store.publish({A: [("before", 1)]})
        server.kill()
        await server.process.wait(10)
        with pytest.raises(StoreUnavailable):
            await store.publish({A: [("during", 1)]})
        await server.start()
        await server.wait_ready()
        await store.publish({A: [("after", 1)]})


async def test_a_server_that_does_not_answer_is_unavailable(server: Valkey) -> None:
    async with connect(server.url, command_timeout=0.2) as redis:
        store = LaneStore(redis, Keys())
        assert await all_names(store) == set()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="Timeout"):
                await all_names(store)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await all_names(store) == set()


async def replicate(redis: Redis, host: str, port: str) -> None:
    batch = Batch(redis)
    batch.add("REPLICAOF", host, port)
    await batch.send()


async def test_a_replica_is_unavailable(server: Valkey) -> None:
    async with connect(server.url) as redis, connect(server.admin_url) as admin:
        store = LaneStore(redis, Keys())
        await replicate(admin, "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable):
            await store.publish({A: [("a", 1)]})
        await replicate(admin, "NO", "ONE")
        await store.publish({A: [("a", 1)]})


async def test_too_many_callers_wait_and_then_find_it_unavailable(redis_url: str) -> None:
    async with connect(redis_url, max_connections=1, command_timeout=0.2) as redis:
        held = await redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        with pytest.raises(StoreUnavailable, match="No connection available"):
            await all_names(LaneStore(redis, Keys()))
        await redis.connection_pool.release(held)
        assert await all_names(LaneStore(redis, Keys())) == set()


async def test_a_script_is_not_sent_again_when_its_reply_is_lost() -> None:
    scripts = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal scripts
        while line := await reader.readline():
            if line == b"SETINFO\r\n":
                writer.write(b"+OK\r\n")
            if line == b"EVALSHA\r\n":
                scripts += 1
                break
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, connect(f"redis://127.0.0.1:{port}") as redis:
        with pytest.raises(StoreUnavailable):
            await LaneStore(redis, Keys()).publish({A: [("a", 1)]})
    assert scripts == 1


async def test_a_refused_command_is_waited_out_and_says_what_was_asked(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        batch = Batch(redis)
        batch.add("SET", "word", "text")
        batch.add("INCR", "word")
        batch.add("GET", "word")
        with pytest.raises(StoreUnavailable, match=r"redis refuses: .*not an integer.*in INCR word") as raised:
            await batch.send()
        assert raised.value.refused


async def test_a_failing_script_says_why(redis_url: str) -> None:
    script = Script.load("sweep")
    async with connect(redis_url) as redis:
        await redis.set("text", "text")
        batch = Batch(redis)
        batch.call(script, ["text"], ["group"])
        with pytest.raises(StoreUnavailable, match=r"redis refuses: .*WRONGTYPE.*in sweep text"):
            await batch.send()


async def test_entries_do_not_pile_up_while_their_lane_cannot_be_named(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        keys = Keys()
        store = LaneStore(redis, keys)
        await redis.set(keys.lanes, "somebody else's")
        for _ in range(20):
            with pytest.raises(StoreUnavailable, match=r"redis refuses: WRONGTYPE.*in SADD taskyard:lanes") as raised:
                await store.publish({A: [("task", 1)]})
            assert raised.value.refused
        assert await redis.xlen(keys.lane(A)) == 1
        await redis.delete(keys.lanes)
        await store.publish({A: [("task", 1)]})
        assert await redis.xlen(keys.lane(A)) == 2
        assert await all_names(store) == {A}


@pytest.mark.parametrize(
    ("setting", "spoilt", "mended"), [("maxmemory", "1mb", "0"), ("min-replicas-to-write", "1", "0")]
)
async def test_a_server_that_is_read_and_takes_no_entry_is_unavailable(
    server: Valkey, setting: str, spoilt: str, mended: str
) -> None:
    async with Redis.from_url(server.admin_url) as admin, connect(server.url) as client:
        lanes = LaneStore(client, Keys())
        await lanes.check_takes_entries()
        await admin.config_set(setting, spoilt)
        assert await lanes.page("") == ([], "")
        with pytest.raises(StoreUnavailable):
            await lanes.check_takes_entries()
        await admin.config_set(setting, mended)
        await lanes.check_takes_entries()
        assert await client.keys() == []
