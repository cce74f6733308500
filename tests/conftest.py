"""Real stores for tests: started when first asked for, once per test session."""

import functools
import itertools
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
import hypothesis
import pytest
import pytest_asyncio
import redis.asyncio
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.postgres import USER, Postgres
from taskyard_server.dev.store import Store
from taskyard_server.dev.valkey import Valkey

# A busy machine is no reason for a property to fail.
hypothesis.settings.register_profile("taskyard", deadline=None)
hypothesis.settings.load_profile("taskyard")

AnyStore = TypeVar("AnyStore", bound=Store)

# Everything from the key "\0" on, in the base64 of etcd's JSON gateway.
EVERY_KEY = b'{"key": "AA==", "range_end": "AA=="}'

_database_numbers = itertools.count(1)


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """End-to-end tests share clusters and the machine: one process runs them all, others run the rest beside it.

    A file stays together. xdist's own groups are marks, which pytest 9 does not show it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups:
    """See xdist."""
    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    end_to_end = Path(__file__).parent / "e2e"
    items.sort(key=lambda item: not item.path.is_relative_to(end_to_end))


@asynccontextmanager
async def running(store: AnyStore) -> AsyncIterator[AnyStore]:
    await store.start()
    try:
        await store.wait_ready()
        yield store
    finally:
        await store.stop()


@pytest.fixture(scope="session")
def store_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(store_directory: Path) -> AsyncIterator[Postgres]:
    """A running Postgres; most tests want `database_url` instead."""
    async with running(Postgres(store_directory / "postgres", durable=False)) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey_server(store_directory: Path) -> AsyncIterator[Valkey]:
    """A running Valkey; most tests want `redis_url` instead."""
    async with running(Valkey(store_directory / "valkey")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def etcd_server(store_directory: Path) -> AsyncIterator[Etcd]:
    """A running etcd; most tests want `etcd_endpoint` instead."""
    async with running(Etcd(store_directory / "etcd")) as server:
        yield server


@asynccontextmanager
async def _database(server: Postgres, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_database_numbers)}"
    connection = await asyncpg.connect(server.admin_url("postgres"))
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{USER}"')
        yield server.database_url(name)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


DatabaseMaker = Callable[[str], AbstractAsyncContextManager[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fresh_database(postgres_server: Postgres) -> DatabaseMaker:
    """`async with fresh_database(template) as url`: a new database, dropped at the end.

    For fixtures of a wider scope than one test. Nobody may be connected to `template` meanwhile.
    """
    return functools.partial(_database, postgres_server)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def as_superuser(postgres_server: Postgres) -> Callable[[str], str]:
    """The URL of the same database for the superuser, who may make roles."""
    return lambda url: postgres_server.admin_url(url.rpartition("/")[2])


@pytest.fixture(scope="session")
def database_template() -> str:
    """Name of the database that `database_url` copies; override it with one that has a schema."""
    return "template1"


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(fresh_database: DatabaseMaker, database_template: str) -> AsyncIterator[str]:
    """URL of a database of this test's own."""
    async with fresh_database(database_template) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def redis_url(valkey_server: Valkey) -> str:
    """URL of a Valkey that holds nothing."""
    async with redis.asyncio.Redis.from_url(valkey_server.url) as client:
        await client.flushall()
    return valkey_server.url


@pytest.fixture
def etcd_endpoint(etcd_server: Etcd) -> str:
    """host:port of an etcd that holds no keys."""
    url = f"http://{etcd_server.url}/v3/kv/deleterange"
    with urllib.request.urlopen(urllib.request.Request(url, data=EVERY_KEY)) as reply:
        assert reply.status == 200
    return etcd_server.url
