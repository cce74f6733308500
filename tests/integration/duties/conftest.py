"""The stores that the leader's duties work on, with a schema and nothing in them."""

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.etcd import Etcd, EtcdSettings, Lease
from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.epoch import LaneEpoch
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.refill import LaneStores
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.conftest import DatabaseMaker

_prefixes = itertools.count(1)


class HandClock(SystemClock):
    """The machine's clock, which a test can move forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class Stores:
    """Everything a duty is made of."""

    def __init__(self, database: Database, redis: Redis, etcd: Etcd) -> None:
        self.database = database
        self.redis = redis
        self.etcd = etcd
        self.keys = Keys()
        self.clock = HandClock()
        self.lanes = LaneStore(redis, self.keys)
        self.epoch = LaneEpoch(redis, self.keys)
        self.store = PostgresStore(database)
        self.fence = self.store.leader
        self.fenced = Fenced(self.fence, "test")
        self.queued = self.store.queued
        self.tasks = self.store.tasks
        self.telemetry = Telemetry.silent()
        self.publication = Publication(self.lanes, self.store.queued)
        self.aftermath = Aftermath(self.publication, Announcements(Hints(redis, self.keys)), self.telemetry)

    def filled(
        self, *, lanes: LaneStore | None = None, epoch: LaneEpoch | None = None, timing: DutyTiming = DutyTiming()
    ) -> LaneStores:
        """What the duties that fill lanes go by."""
        return LaneStores(
            tables=self.store,
            lanes=lanes or self.lanes,
            epoch=epoch or self.epoch,
            clock=self.clock,
            timing=timing,
        )

    async def lead(self, number: int = 10) -> Term:
        """Begin a term that is trusted for long."""
        await self.fence.begin(number, "test")
        return trusted(number)

    async def add(
        self,
        count: int,
        state: str = "QUEUED",
        *,
        queue: str = "q",
        priority: int = 5,
        run_at: str = "now()",
        expires_at: str = "NULL",
    ) -> None:
        """Insert tasks; the times are SQL."""
        await self.database.fetch(
            "INSERT INTO taskyard.task (id, namespace, queue, type, state, priority, payload, run_at, expires_at)"
            f" SELECT taskyard.uuid7(), 'default', $1, 't', $2, $3, 'null', {run_at}, {expires_at}"
            " FROM generate_series(1, $4)",
            queue,
            state,
            priority,
            count,
        )

    async def value(self, query: str, *arguments: object) -> int:
        """The number that a query asks for."""
        return int((await self.database.fetch(query, *arguments))[0][0])

    async def count(self, state: str) -> int:
        """Tasks in a state."""
        return await self.value("SELECT count(*) FROM taskyard.task WHERE state = $1", state)

    async def published(self) -> set[str]:
        """Ids of all tasks that have an entry in a lane."""
        ids: set[str] = set()
        for lane in await all_names(self.lanes):
            entries: Any = await self.redis.xrange(self.keys.lane(lane))
            ids |= {fields[b"task"].decode() for _, fields in entries}
        return ids

    async def ids(self, state: str) -> set[str]:
        """Ids of the tasks in a state."""
        found = await self.database.fetch("SELECT id FROM taskyard.task WHERE state = $1", state)
        return {str(row[0]) for row in found}


def trusted(number: int) -> Term:
    return Term(number, Lease(1, 1000.0, granted_at=time.monotonic()), margin=1.0)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_template(fresh_database: DatabaseMaker) -> AsyncIterator[str]:
    async with fresh_database("template1") as url:
        migrate(url)
        yield urlsplit(url).path.removeprefix("/")


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url, connections=8)
    yield database
    await database.close()


@pytest.fixture
def etcd_settings(etcd_server: EtcdServer) -> EtcdSettings:
    return EtcdSettings(endpoints=(etcd_server.url,), prefix=f"/duties-{next(_prefixes)}")


@pytest_asyncio.fixture(loop_scope="session")
async def stores(database: Database, redis_url: str, etcd_settings: EtcdSettings) -> AsyncIterator[Stores]:
    redis = connect(redis_url)
    async with Etcd(etcd_settings) as etcd:
        stores = Stores(database, redis, etcd)
        yield stores
        await stores.aftermath.close()
    await redis.aclose()
    await stores.telemetry.close()
