"""Two clusters that meet in one store: neither touches what is the other's."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.storage.etcd import Etcd, EtcdRejected, EtcdSettings, EtcdUnavailable
from taskyard_core.storage.identity import ForeignStore, Identity
from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores
from taskyard_server.dev.etcd import Etcd as EtcdServer
from taskyard_server.dev.port import LOOPBACK, free_port
from tests.conftest import DatabaseMaker


def cluster_id(url: str) -> str:
    with psycopg.connect(url) as connection:
        return str(connection.execute("SELECT id FROM taskyard.cluster").fetchone()[0])  # type: ignore[index]


@pytest_asyncio.fixture(loop_scope="session")
async def two(fresh_database: DatabaseMaker) -> AsyncIterator[tuple[str, str]]:
    """Two databases, each of a cluster of its own."""
    async with fresh_database("template1") as one, fresh_database("template1") as other:
        for url in (one, other):
            await asyncio.to_thread(migrate, url)
        assert cluster_id(one) != cluster_id(other)
        yield one, other


_numbers = itertools.count(1)


class Place:
    """The other two stores, under prefixes that no other test uses."""

    def __init__(self, redis_url: str, etcd: str) -> None:
        self.redis_url = redis_url
        self.etcd = etcd
        self.redis_prefix = f"identity-{next(_numbers)}"
        self.etcd_prefix = f"/{self.redis_prefix}"
        self.redis_key = f"{self.redis_prefix}:cluster"
        self.etcd_key = f"{self.etcd_prefix}/cluster"

    def settings(self, postgres_url: str) -> DispatcherSettings:
        return DispatcherSettings.model_validate(
            {
                "postgres_url": postgres_url,
                "redis_url": self.redis_url,
                "redis_prefix": self.redis_prefix,
                "etcd_endpoints": self.etcd,
                "etcd_prefix": self.etcd_prefix,
                "pod_name": "p",
            }
        )

    @asynccontextmanager
    async def stores(self, postgres_url: str) -> AsyncIterator[Stores]:
        async with Stores.open(self.settings(postgres_url), "test") as stores:
            yield stores


@pytest.fixture
def place(redis_url: str, etcd_server: EtcdServer) -> Place:
    return Place(redis_url, etcd_server.url)


async def test_the_first_writes_its_id_and_is_at_home_from_then_on(two: tuple[str, str], place: Place) -> None:
    for _ in range(2):
        async with place.stores(two[0]) as stores:
            await stores.identity.first_look()
            assert stores.identity.obstacle is None
            assert await stores.delivery.epoch.current() is None
            item = await stores.etcd.kv.get(place.etcd_key)
            assert item is not None
            assert item.value.decode() == cluster_id(two[0])
    async with Redis.from_url(place.redis_url) as redis:
        assert await redis.get(place.redis_key) == cluster_id(two[0]).encode()


async def test_another_cluster_is_refused_by_both_stores(two: tuple[str, str], place: Place) -> None:
    async with place.stores(two[0]) as mine:
        await mine.identity.first_look()
        async with place.stores(two[1]) as others:
            with pytest.raises(ForeignStore, match=f"{cluster_id(two[0])}.*{cluster_id(two[1])}"):
                await others.identity.first_look()
            assert "--redis-prefix" in (others.identity.obstacle or "")
            assert "--etcd-prefix" in (others.identity.obstacle or "")
            with pytest.raises(StoreUnavailable, match="two clusters meet"):
                await others.delivery.lanes.publish({"default/default/t/5/": [("x", 0)]})
            for attempt in (others.etcd.kv.put("/taskyard/x", b""), others.etcd.access.grant(5)):
                with pytest.raises(EtcdUnavailable, match="two clusters meet"):
                    await attempt
        assert await all_names(mine.delivery.lanes) == set()
        assert await mine.etcd.kv.get("/taskyard/x") is None


async def test_other_prefixes_keep_two_clusters_apart(two: tuple[str, str], place: Place) -> None:
    apart = place.settings(two[1]).model_copy(update={"etcd_prefix": "/other", "redis_prefix": "other"})
    async with place.stores(two[0]) as mine, Stores.open(apart, "other") as others:
        for stores in (mine, others):
            await stores.identity.first_look()


async def test_stores_that_forgot_are_told_again(two: tuple[str, str], place: Place) -> None:
    async with place.stores(two[0]) as stores, Redis.from_url(place.redis_url) as redis:
        await stores.identity.first_look()
        await redis.delete(place.redis_key)
        await stores.etcd.kv.delete(place.etcd_key)
        await stores.identity.first_look()
        assert await redis.get(place.redis_key) == cluster_id(two[0]).encode()
        assert await stores.etcd.kv.get(place.etcd_key) is not None


async def test_a_store_that_becomes_anothers_is_away_until_it_is_back(two: tuple[str, str], place: Place) -> None:
    async with (
        place.stores(two[0]) as stores,
        Redis.from_url(place.redis_url) as redis,
        Etcd(EtcdSettings(endpoints=(place.etcd,))) as etcd,
    ):
        await stores.identity.first_look()
        await redis.set(place.redis_key, cluster_id(two[1]))
        await etcd.kv.put(place.etcd_key, cluster_id(two[1]).encode())
        with pytest.raises(ForeignStore):
            await stores.identity.first_look()
        with pytest.raises(StoreUnavailable):
            await stores.delivery.epoch.current()
        with pytest.raises(StoreUnavailable):
            await stores.etcd.kv.get("/taskyard/x")
        await stores.tasks.ping()
        await redis.delete(place.redis_key)
        await etcd.kv.delete(place.etcd_key)
        await stores.identity.first_look()
        assert stores.identity.obstacle is None
        await stores.delivery.epoch.current()
        await stores.etcd.kv.get("/taskyard/x")


async def test_an_etcd_that_is_swapped_for_anothers_is_noticed_by_the_next_stream(
    two: tuple[str, str], place: Place, etcd_server: EtcdServer
) -> None:
    async with place.stores(two[0]) as stores, Etcd(EtcdSettings(endpoints=(etcd_server.url,))) as etcd:
        await stores.identity.first_look()
        await etcd.kv.put(place.etcd_key, b"another")
        with pytest.raises(EtcdUnavailable, match="two clusters meet"):
            await stores.etcd.access.keep_alive()


@pytest.mark.parametrize("error", [EtcdRejected("permission denied"), RuntimeError("nobody foresaw it")])
async def test_a_store_that_refuses_to_tell_is_asked_again(error: Exception) -> None:
    identity, asked = Identity(), 0

    async def refuses() -> None:
        nonlocal asked
        asked += 1
        raise error

    identity.watch("etcd", refuses)
    for _ in range(2):
        await identity.first_look()
    assert asked == 2
    assert identity.obstacle is None


async def test_all_who_wait_for_an_etcd_that_is_away_are_told_together_and_leases_are_revoked_unasked(
    two: tuple[str, str], redis_url: str
) -> None:
    place = Place(redis_url, f"{LOOPBACK}:{free_port()}")
    async with place.stores(two[0]) as stores:
        await stores.identity.first_look()
        began = asyncio.get_running_loop().time()
        calls = [stores.etcd.kv.get(f"/taskyard/{number}") for number in range(40)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, EtcdUnavailable) for error in errors)
        with pytest.raises(EtcdUnavailable):
            await stores.etcd.access.revoke(1, timeout=0.5)
        assert asyncio.get_running_loop().time() - began < 20


async def test_nothing_is_done_before_postgres_has_told_which_cluster_this_is(place: Place) -> None:
    async with place.stores(f"postgresql://nobody@{LOOPBACK}:{free_port()}/none") as stores:
        await stores.identity.first_look()
        with pytest.raises(StoreUnavailable, match="which cluster this is"):
            await stores.delivery.epoch.current()
        with pytest.raises(StoreUnavailable, match="which cluster this is"):
            await stores.etcd.kv.put("/taskyard/x", b"")


@pytest.mark.parametrize("role", ["scheduler", "dispatcher"])
@pytest.mark.parametrize("store", ["redis", "etcd"])
async def test_a_process_refuses_to_start_among_anothers_stores(
    two: tuple[str, str], place: Place, role: str, store: str
) -> None:
    async with place.stores(two[0]) as stores:
        await stores.identity.first_look()
    prefixes = {"--redis-prefix": place.redis_prefix, "--etcd-prefix": place.etcd_prefix}
    prefixes |= {"redis": {"--etcd-prefix": "/other"}, "etcd": {"--redis-prefix": "other"}}[store]
    addresses = [
        f"--{name}-address={LOOPBACK}:0" for name in {"scheduler": ("rest", "grpc")}.get(role, ("session", "http"))
    ]
    command = (
        *(sys.executable, "-m", "taskyard_server", role, "--postgres-url", two[1], "--redis-url", place.redis_url),
        *("--etcd-endpoints", place.etcd, *itertools.chain(*prefixes.items()), *addresses),
    )
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    assert process.returncode == 1
    (sentence,) = (line for line in said.splitlines() if line.startswith(f"taskyard-server {role} does not start"))
    for word in (f"{store} belongs to", cluster_id(two[0]), cluster_id(two[1]), f"--{store}-prefix"):
        assert word in sentence
    assert "Traceback" not in said
