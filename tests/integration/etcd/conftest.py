"""etcd for each test: a shared server with a prefix of the test's own, or a server to mistreat."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import running

_numbers = itertools.count(1)


@pytest.fixture
def settings(etcd_server: EtcdServer) -> EtcdSettings:
    """The shared server, and a prefix that no other test uses."""
    return EtcdSettings(endpoints=(etcd_server.url,), prefix=f"/test-{next(_numbers)}")


@pytest_asyncio.fixture(loop_scope="session")
async def etcd(settings: EtcdSettings) -> AsyncIterator[Etcd]:
    async with Etcd(settings) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def own_server(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    """A server that the test may kill and start again."""
    server = EtcdServer(tmp_path / "etcd")
    async with running(server):
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def own_etcd(own_server: EtcdServer) -> AsyncIterator[Etcd]:
    """A client of `own_server`."""
    async with Etcd(EtcdSettings(endpoints=(own_server.url,))) as client:
        yield client
