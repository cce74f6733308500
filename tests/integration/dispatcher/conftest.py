"""A dispatcher as a process, on real stores; tests play its workers."""

import asyncio
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio
import uuid_utils

from taskyard_core.domain.submission import build
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.delivery import RedisDelivery
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.submissions import NewTask
from taskyard_server.dev.port import LOOPBACK, free_port
from tests.conftest import DatabaseMaker
from tests.e2e.eventually import eventually

READY = 60.0
_prefixes = itertools.count(1)


class Yard:
    """One dispatcher, and the stores behind it."""

    def __init__(
        self, *, address: str, http: str, url: str, pid: int, database: Database, delivery: RedisDelivery
    ) -> None:
        self.address = address
        self.url = url
        self._http = http
        self.pid = pid
        self.database = database
        self.store = PostgresStore(database)
        self._delivery = delivery

    async def submit(self, count: int, *, type: str, payload: bytes = b"null") -> list[str]:
        """Tasks, stored and published as a scheduler does it."""
        ids = []
        for start in range(0, count, 100):
            new = [
                NewTask(str(uuid_utils.uuid7()), build(type=type, payload=payload))
                for _ in range(min(100, count - start))
            ]
            await self.store.submissions.submit(new)
            entries = [(task.id, 0) for task in new]
            await self._delivery.lanes.publish({f"default/default/{type}/5/": entries})
            ids += [task.id for task in new]
        return ids

    async def count(self, state: str) -> int:
        """Tasks in a state."""
        found = await self.database.fetch("SELECT count(*) FROM taskyard.task WHERE state = $1", state)
        return int(found[0][0])

    async def reached(self, state: str, count: int, within: float = 60.0) -> None:
        """Wait until so many tasks are in a state."""

        async def are() -> bool:
            return await self.count(state) == count

        await eventually(are, within=within)

    async def metrics(self, name: str) -> list[str]:
        """Lines of /metrics that begin so."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://{self._http}/metrics")).text
        return [line for line in text.splitlines() if line.startswith(name)]

    @property
    def peak(self) -> float:
        """The most memory that the dispatcher has had, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    @property
    def processor(self) -> float:
        """Seconds of processor time that the dispatcher has had."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


YardMaker = Callable[..., AbstractAsyncContextManager[Yard]]


@pytest_asyncio.fixture(loop_scope="session")
async def yard_maker(
    fresh_database: DatabaseMaker, redis_url: str, etcd_endpoint: str, tmp_path: Path
) -> AsyncIterator[YardMaker]:
    """`async with yard_maker(*options) as yard`: a dispatcher with these options."""

    @asynccontextmanager
    async def make(*options: str) -> AsyncIterator[Yard]:
        async with fresh_database("template1") as url:
            migrate(url)
            address, http, prefix = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}", f"yard{next(_prefixes)}"
            command = (
                *(sys.executable, "-m", "taskyard_server", "dispatcher"),
                *("--postgres-url", url, "--redis-url", redis_url, "--redis-prefix", prefix),
                *("--etcd-endpoints", etcd_endpoint, "--etcd-prefix", f"/{prefix}"),
                *("--session-address", address, "--http-address", http, *options),
            )
            with (tmp_path / f"{prefix}.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
            database, redis = await Database.open(url), connect(redis_url)
            try:
                await eventually(lambda: _listens(address), within=READY)
                delivery = RedisDelivery(redis, Keys(prefix))
                yield Yard(address=address, http=http, url=url, pid=process.pid, database=database, delivery=delivery)
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
                await redis.aclose()
                await database.close()

    yield make


@pytest_asyncio.fixture(loop_scope="session")
async def yard(yard_maker: YardMaker) -> AsyncIterator[Yard]:
    """A dispatcher with default settings."""
    async with yard_maker() as made:
        yield made


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
def large() -> bytes:
    """JSON of 1 MiB, the most that a result may have."""
    return b'"' + b"x" * (1024 * 1024 - 2) + b'"'
