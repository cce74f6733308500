"""etcd and its double in memory, to be used and to be mistreated."""

import itertools
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from simulation.memory.etcd import EtcdServer as MemoryServer
from simulation.memory.etcd import MemoryAccess
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import compact, crash, restart, running

_numbers = itertools.count(1)


class Stage(Protocol):
    """A server of the test's own, and a client of it."""

    @property
    def etcd(self) -> Etcd:
        """The client."""

    def another(self) -> Etcd:
        """One more client, to be closed by the test."""

    def compact(self, revision: int) -> None:
        """Throws away the history before a revision."""

    async def crash(self) -> None:
        """Kills the server."""

    async def restart(self) -> None:
        """Starts it again on its data."""

    async def replace(self) -> None:
        """Puts an empty one in its place, whose revisions begin anew."""


class RealStage:
    def __init__(self, server: EtcdServer) -> None:
        self._server = server
        self.etcd = self.another()

    def another(self) -> Etcd:
        return Etcd(EtcdSettings(endpoints=(self._server.url,)))

    def compact(self, revision: int) -> None:
        compact(self._server, revision)

    async def crash(self) -> None:
        await crash(self._server)

    async def restart(self) -> None:
        await restart(self._server)

    async def replace(self) -> None:
        await crash(self._server)
        shutil.rmtree(self._server.directory)
        await restart(self._server)


class MemoryStage:
    def __init__(self) -> None:
        self._server = MemoryServer(time.monotonic)
        self.etcd = self.another()

    def another(self) -> Etcd:
        return Etcd(EtcdSettings(), access=MemoryAccess(self._server))

    def compact(self, revision: int) -> None:
        self._server.compact(revision)

    async def crash(self) -> None:
        self._server.stop()

    async def restart(self) -> None:
        self._server.start()

    async def replace(self) -> None:
        self._server.replace()


@pytest_asyncio.fixture(loop_scope="session")
async def memory_stage() -> AsyncIterator[MemoryStage]:
    stage = MemoryStage()
    yield stage
    await stage.etcd.close()


@pytest_asyncio.fixture(loop_scope="session")
async def etcd_stage(tmp_path: Path) -> AsyncIterator[RealStage]:
    server = EtcdServer(tmp_path / "etcd")
    async with running(server):
        stage = RealStage(server)
        yield stage
        await stage.etcd.close()


@pytest_asyncio.fixture(loop_scope="session")
async def memory_client(memory_stage: MemoryStage) -> Etcd:
    return memory_stage.etcd


@pytest_asyncio.fixture(loop_scope="session")
async def etcd_client(etcd_server: EtcdServer) -> AsyncIterator[Etcd]:
    settings = EtcdSettings(endpoints=(etcd_server.url,), prefix=f"/conformance-{next(_numbers)}")
    async with Etcd(settings) as client:
        yield client


@pytest.fixture(params=["memory", "etcd"])
def etcd(request: pytest.FixtureRequest) -> Etcd:
    """A client, with a prefix that no other test uses."""
    client: Etcd = request.getfixturevalue(f"{request.param}_client")
    return client


@pytest.fixture(params=["memory", "etcd"])
def own_stage(request: pytest.FixtureRequest) -> Stage:
    """A server that the test may kill and start again."""
    stage: Stage = request.getfixturevalue(f"{request.param}_stage")
    return stage
