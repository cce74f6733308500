"""Each store in turn says no to everybody: nobody ends by it, it is told, and all goes on when it is mended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import asyncpg
import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.storage.postgres.migration import migrate
from taskyard_server.dev.etcd import USER
from taskyard_server.dev.plan import StoreAddresses
from taskyard_server.dev.port import LOOPBACK
from taskyard_server.dev.process import Process
from tests.e2e.crew import Crew, Server, serves
from tests.e2e.eventually import eventually
from tests.e2e.own_stores import OwnStores, ask_etcd, own_stores

TOLD_WITHIN = 20.0
BACK_WITHIN = 20.0
ENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"
WHOLE = "~* &* +@all"
"""A user of Redis who may do all."""


class Room(NamedTuple):
    """One of each, on stores whose servers' rights the test takes and gives."""

    crew: Crew
    stores: OwnStores
    scheduler: Server
    dispatcher: Server
    processes: dict[str, Process]


class Refusal(NamedTuple):
    """How a store is made to refuse, and to serve again; what is told then, and whether processes can be ready."""

    store: str
    said: str
    spoil: Callable[[OwnStores], Awaitable[None]]
    mend: Callable[[OwnStores], Awaitable[None]]
    ready: bool = False


def sql(*statements: str) -> Callable[[OwnStores], Awaitable[None]]:
    async def run(stores: OwnStores) -> None:
        connection = await asyncpg.connect(stores.postgres.admin_url())
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    return run


def redis(*commands: str) -> Callable[[OwnStores], Awaitable[None]]:
    async def run(stores: OwnStores) -> None:
        async with Redis.from_url(stores.redis.admin_url) as client:
            for command in commands:
                await client.execute_command(*command.split())  # type: ignore[no-untyped-call]

    return run


def etcd(path: str, **fields: str) -> Callable[[OwnStores], Awaitable[None]]:
    """Asks as root, with the user's password for a `password` of nothing."""

    async def run(stores: OwnStores) -> None:
        told = {name: value or stores.etcd.password for name, value in fields.items()}
        ask_etcd(stores, path, **told)

    return run


REFUSALS = {
    "wrong password": Refusal(
        "postgres", "28P01", sql("ALTER ROLE app PASSWORD 'other'", ENDS), sql("ALTER ROLE app PASSWORD 'pass/word#'")
    ),
    "no login": Refusal("postgres", "28000", sql("ALTER ROLE app NOLOGIN", ENDS), sql("ALTER ROLE app LOGIN")),
    "a right less": Refusal(
        "postgres",
        "permission denied for table task (42501)",
        sql("REVOKE INSERT ON taskyard.task FROM app"),
        sql("GRANT INSERT ON taskyard.task TO app"),
    ),
    "read-only": Refusal(
        "postgres",
        "read-only",
        sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
        sql(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        ),
    ),
    "read-only for new sessions": Refusal(
        "postgres",
        "read-only",
        sql("ALTER ROLE app SET default_transaction_read_only = on", ENDS),
        sql("ALTER ROLE app RESET default_transaction_read_only"),
    ),
    "an older schema": Refusal(
        "postgres",
        "taskyard-server migrate",
        sql("ALTER TABLE taskyard.task RENAME COLUMN state TO status"),
        sql("ALTER TABLE taskyard.task RENAME COLUMN status TO state"),
    ),
    **{
        f"no entries, {said}": Refusal("redis", said, redis(spoil), redis(mend), ready=True)
        for said, spoil, mend in (
            ("NOPERM", "ACL SETUSER app -xadd", "ACL SETUSER app +@all"),
            ("READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        )
    },
    "no commands": Refusal(
        "redis", "NOPERM", redis("ACL SETUSER app -@all"), redis(f"ACL SETUSER app {WHOLE}"), ready=True
    ),
    "no user": Refusal(
        "redis",
        "WRONGPASS",
        redis("ACL SETUSER app resetpass >other", "CLIENT KILL USER app"),
        redis("ACL SETUSER app resetpass >secret"),
        ready=True,
    ),
    **{
        f"somebody else's key {key}": Refusal(
            "redis",
            f"in {command} taskyard:{key}; the key is somebody else's",
            redis(f"DEL taskyard:{key}", f"SET taskyard:{key} mine"),
            redis(f"DEL taskyard:{key}"),
            ready=True,
        )
        for key, command in (("lanes", "SISMEMBER"), ("epoch", "HGET"))
    },
    "etcd has another password": Refusal(
        "etcd",
        "invalid user ID or password",
        etcd("auth/user/changepw", name=USER, password="hush"),
        etcd("auth/user/changepw", name=USER, password=""),
        ready=True,
    ),
    "etcd gives no right": Refusal(
        "etcd",
        "permission denied",
        etcd("auth/user/revoke", name=USER, role=USER),
        etcd("auth/user/grant", user=USER, role=USER),
        ready=True,
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    directory = tmp_path_factory.mktemp("refusals")
    async with own_stores(directory) as stores:
        await asyncio.to_thread(migrate, stores.postgres.url)
        await _with_rights(stores)
        postgres, port = f"postgresql://app:pass/word#@{LOOPBACK}", stores.postgres.port
        name = stores.postgres.url.rpartition("/")[2]
        valkey = f"redis://app:secret@{LOOPBACK}:{stores.redis.port}/0"
        asked = (stores.etcd.url, stores.etcd.user, stores.etcd.password)
        crew = Crew(directory, stores, StoreAddresses(f"{postgres}:{port}/{name}", valkey, *asked))
        try:
            scheduler, dispatcher = crew.scheduler("scheduler"), crew.dispatcher("dispatcher")
            processes = {"scheduler": await scheduler.start(), "dispatcher": await dispatcher.start()}
            crew.worker("worker", dispatcher)
            await serves(scheduler, "worker", dispatcher)
            yield Room(crew, stores, scheduler, dispatcher, processes)
        finally:
            await crew.end()


async def _with_rights(stores: OwnStores) -> None:
    rules = stores.postgres.directory / "pg_hba.conf"
    rules.write_text(f"host all app {LOOPBACK}/32 scram-sha-256\n{rules.read_text()}")
    await sql(
        "CREATE ROLE app LOGIN PASSWORD 'pass/word#'",
        "GRANT USAGE ON SCHEMA taskyard TO app",
        "GRANT ALL ON ALL TABLES IN SCHEMA taskyard TO app",
        "SELECT pg_reload_conf()",
    )(stores)
    await redis(f"ACL SETUSER app on >secret {WHOLE}")(stores)


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_store_that_refuses_is_waited_for(room: Room, name: str) -> None:
    refusal = REFUSALS[name]
    before = {role: len(room.crew.log(role)) for role in room.processes}
    await refusal.spoil(room.stores)
    try:
        for role in room.processes:
            await eventually(lambda role=role: _told(room, role, before[role], refusal), within=TOLD_WITHIN)  # type: ignore[misc]
            await eventually(lambda role=role: _looks(room, role, refusal.ready), within=TOLD_WITHIN)  # type: ignore[misc]
        if refusal.ready:
            # Others do meanwhile what this store is for.
            await _done(room)
    finally:
        await refusal.mend(room.stores)
    for role in room.processes:
        await eventually(lambda role=role: _looks(room, role, True), within=BACK_WITHIN)  # type: ignore[misc]
        await eventually(lambda role=role: _up(room, role, refusal.store), within=BACK_WITHIN)  # type: ignore[misc]
    await _done(room)
    for role, process in room.processes.items():
        assert process.running, role
        since = room.crew.log(role)[before[role] :]
        assert "is begun again" not in since, since
        assert "secret" not in since
        assert "pass/word" not in since
        assert since.count("waiting for") <= 4, since


async def _in_log(room: Room, role: str, begin: int, *words: str) -> bool:
    return any(all(word in line for word in words) for line in room.crew.log(role)[begin:].splitlines())


async def _told(room: Room, role: str, begin: int, refusal: Refusal) -> bool:
    return await _in_log(room, role, begin, f"waiting for {refusal.store}: ", "refuses", refusal.said)


def _http(room: Room, role: str) -> httpx.AsyncClient:
    server = room.scheduler if role == "scheduler" else room.dispatcher
    return httpx.AsyncClient(base_url=f"http://{server.http}", timeout=10)


async def _looks(room: Room, role: str, ready: bool) -> bool:
    assert room.processes[role].running, room.processes[role].failure("ended")
    async with _http(room, role) as http:
        return bool((await http.get("/readyz")).status_code == (200 if ready else 503))


async def _up(room: Room, role: str, store: str) -> bool:
    async with _http(room, role) as http:
        return f'taskyard_store_up{{store="{store}"}} 1.0' in (await http.get("/metrics")).text


async def _done(room: Room) -> None:
    """A task that is submitted now succeeds."""
    async with _http(room, "scheduler") as http:
        payload = {"type": "journal.run", "payload": 1}
        answer = await http.post("/v1/tasks", json=payload)
        assert answer.status_code == 201, answer.text

        async def succeeded() -> bool:
            return bool((await http.get(f"/v1/tasks/{answer.json()['id']}")).json()["state"] == "SUCCEEDED")

        await eventually(succeeded, within=BACK_WITHIN)
