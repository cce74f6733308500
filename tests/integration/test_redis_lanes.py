"""Lanes on a server that is wiped, full, or used by others at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.storage.lanes import Entry, Quota, all_names
from taskyard_core.storage.redis import lanes
from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.keys import GROUP, Keys
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_server.dev.valkey import Valkey

A = "default/mail/send/5/"
C = "default/video/encode/5/gpu"
KEYS = Keys("test")


@pytest_asyncio.fixture(loop_scope="session")
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> LaneStore:
    return LaneStore(redis, KEYS)


@pytest_asyncio.fixture(loop_scope="session")
async def full(valkey_server: Valkey) -> AsyncIterator[Any]:
    """Call it to leave the server no memory until the end of the test."""
    async with connect(valkey_server.admin_url) as admin:
        yield lambda: admin.config_set("maxmemory", 1)
        await admin.config_set("maxmemory", 0)


async def one(store: LaneStore, name: str = "task", lane: str = A) -> list[Entry]:
    await store.publish({lane: [(name, 1)]})
    return await store.take("c", [Quota(lane, 9)], 9)


async def test_a_full_server_takes_no_entries_but_gives_and_forgets_them(store: LaneStore, full: Any) -> None:
    await store.publish({A: [("a", 1), ("b", 1), ("c", 1)]})
    first = await store.take("c", [Quota(A, 1)], 1)
    await full()
    with pytest.raises(StoreUnavailable, match=r"redis is unavailable: .*memory") as refusal:
        await store.publish({A: [("d", 1)]})
    assert refusal.value.store == "redis"
    await store.give_back(first)
    taken = await store.take("c", [Quota(A, 9)], 9)
    assert [entry.task_id for entry in taken] == ["b", "c", "a"]
    await store.ack(taken)
    assert (await store.depths([A]))[A].length == 0


async def test_giving_back_never_shows_an_entry_twice_or_not_at_all(redis_url: str, store: LaneStore) -> None:
    await store.publish({A: [(f"t{number}", 1) for number in range(50)]})
    taken = await store.take("one", [Quota(A, 50)], 50)
    async with connect(redis_url) as other:
        watcher = LaneStore(other, KEYS)
        returns = asyncio.gather(*(store.give_back([entry]) for entry in taken))
        while not returns.done():
            assert (await watcher.depths([A]))[A].length == 50
        await returns
    assert (await store.depths([A]))[A].pending == 0


async def test_a_publish_between_the_steps_of_a_sweep_keeps_its_lane_registered(
    redis: Redis, store: LaneStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.ack(await one(store))
    publisher = LaneStore(redis, KEYS)

    class Interrupted(Batch):
        async def send(self) -> list[Any]:
            if any(command[0] == "SREM" for command in self._commands):
                await publisher.publish({A: [("late", 1)]})
            return await super().send()

    monkeypatch.setattr(lanes, "Batch", Interrupted)
    assert not await store.sweep(A, 60_000)
    assert await all_names(store) == {A}
    assert (await store.depths([A]))[A].length == 1


async def consumers(redis: Redis, lane: str) -> set[str]:
    return {consumer["name"].decode() for consumer in await redis.xinfo_consumers(KEYS.lane(lane), GROUP)}


async def test_silent_consumers_are_dropped_unless_they_hold_entries(redis: Redis) -> None:
    store = LaneStore(redis, KEYS, consumer_idle_ms=0)
    await store.publish({A: [("a", 1), ("b", 1), ("c", 1)]})
    done = await store.take("done", [Quota(A, 1)], 1)
    await store.take("holding", [Quota(A, 1)], 1)
    await store.ack(done)
    patient = LaneStore(redis, KEYS)
    assert await patient.reclaim("alive", [A], 1_000_000, 9) == []
    assert await consumers(redis, A) >= {"done", "holding"}
    assert await store.reclaim("alive", [A], 1_000_000, 9) == []
    assert await consumers(redis, A) - {"alive"} == {"holding"}


async def test_pending_entries_that_somebody_deleted_are_forgotten(redis: Redis, store: LaneStore) -> None:
    await store.publish({A: [("a", 1), ("b", 1)]})
    gone, kept = await store.take("dead", [Quota(A, 2)], 2)
    await redis.xdel(KEYS.lane(A), gone.entry_id)
    assert await store.reclaim("alive", [A], 0, 9) == [kept]
    await store.ack([kept])
    assert (await store.depths([A]))[A].pending == 0


async def test_two_clusters_share_a_server(redis: Redis, store: LaneStore) -> None:
    other = LaneStore(redis, Keys("other"))
    await store.publish({A: [("a", 1)]})
    assert await other.take("c", [Quota(A, 1)], 1) == []
    assert await all_names(other) == set()


def test_lanes_of_a_queue_share_a_slot_of_a_cluster() -> None:
    assert KEYS.lane(A) == "test:{default/mail}:lane:default/mail/send/5/"
