"""A URL with several hosts leads to the one that takes writes, whichever that is by then."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.postgres import USER, Postgres
from tests.conftest import running

READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITABLE = ("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Postgres, Postgres]]:
    directory = tmp_path_factory.mktemp("two")
    first, second = (Postgres(Path(directory, name), durable=False) for name in ("first", "second"))
    async with running(first), running(second):
        # One URL has one password for all of its hosts.
        await told(second, f"ALTER ROLE {USER} PASSWORD '{first.secret(USER)}'")
        for server in (first, second):
            await asyncio.to_thread(migrate, url_of(server.port, server=first))
        yield first, second


async def told(server: Postgres, *statements: str) -> None:
    connection = await asyncpg.connect(server.admin_url())
    for statement in (*statements, "SELECT pg_reload_conf()"):
        await connection.execute(statement)
    # What was reloaded counts from the next statement of each session on.
    await connection.fetch("SELECT 1")
    await connection.close()


def url_of(*ports: int, server: Postgres) -> str:
    before, _, database = server.url.rpartition("/")
    credentials, separator, _ = before.removeprefix("postgresql://").rpartition("@")
    hosts = ",".join(f"{LOOPBACK}:{port}" for port in ports)
    return f"postgresql://{credentials}{separator}{hosts}/{database}"


async def port_behind(database: Database) -> int:
    for _ in range(100):
        try:
            return int((await database.fetch("SELECT inet_server_port()"))[0][0])
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("no connection")


async def first_refusal(database: Database) -> StoreUnavailable:
    """What is said once the server's sessions have noticed that its configuration changed."""
    while True:
        try:
            await database.ping()
        except StoreUnavailable as error:
            return error


async def test_a_server_that_became_read_only_is_left_with_all_connections(two: tuple[Postgres, Postgres]) -> None:
    first, second = two
    database = await Database.open(url_of(first.port, second.port, server=first), connections=4)
    await asyncio.gather(*(database.ping() for _ in range(4)))
    assert await port_behind(database) == first.port
    await told(first, READ_ONLY)
    try:
        refusal = await first_refusal(database)
        assert "read-only transaction (25006)" in str(refusal)
        assert refusal.refused
        # The others are left as well, though none of them has met the refusal.
        assert {await port_behind(database) for _ in range(4)} == {second.port}
        await asyncio.gather(*(database.ping() for _ in range(4)))
    finally:
        await told(first, *WRITABLE)
    await database.close()


async def test_without_any_that_takes_writes_it_is_refused_and_mended(two: tuple[Postgres, Postgres]) -> None:
    first, _ = two
    database = await Database.open(first.url)
    await told(first, READ_ONLY)
    with pytest.raises(StoreUnavailable, match="no host takes writes"):
        await database.ping()
    await told(first, *WRITABLE)
    while True:
        try:
            await database.ping()
        except StoreUnavailable:
            continue
        break
    await database.close()


async def test_statements_that_may_take_longer_are_waited_for(
    two: tuple[Postgres, Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard_core.storage.postgres.database.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("taskyard_core.storage.postgres.database.ANSWER_MARGIN", 2.0)
    database = await Database.open(two[0].url, statement_timeout=0.6)
    await database.fetch("SELECT pg_sleep(0.4)")
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        await database.fetch("SELECT pg_sleep(5)")
    await database.close()


async def test_a_host_that_swallows_packets_is_not_waited_for_twice(two: tuple[Postgres, Postgres]) -> None:
    first, _ = two
    # Connections are taken by the kernel, and nobody ever answers.
    silent = socket.create_server((LOOPBACK, 0))
    port = silent.getsockname()[1]
    database = await Database.open(f"{url_of(port, first.port, server=first)}?connect_timeout=2")
    loop = asyncio.get_running_loop()
    # As readiness asks, with a patience that one host uses up.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await database.ping()
    began = loop.time()
    await database.ping()
    assert loop.time() - began < 2
    await database.close()
    silent.close()


async def test_a_migration_finds_the_same_host(two: tuple[Postgres, Postgres]) -> None:
    first, _ = two
    assert await asyncio.to_thread(migrate, url_of(free_port(), first.port, server=first)) == []


async def test_a_server_that_is_too_old_is_refused_in_a_sentence(
    two: tuple[Postgres, Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard_core.storage.postgres.database.OLDEST", 99)
    database = await Database.open(two[0].url)
    with pytest.raises(StoreUnavailable, match="is too old: it must be Postgres 99 or newer") as raised:
        await database.ping()
    assert raised.value.refused
    await database.close()


async def test_a_session_without_the_settings_it_asked_for_is_refused(
    two: tuple[Postgres, Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_settings(*positional: Any, **arguments: Any) -> Any:
        return await connect(*positional, **{**arguments, "server_settings": None})

    connect: Any = asyncpg.connect
    monkeypatch.setattr(asyncpg, "connect", without_settings)
    database = await Database.open(two[0].url)
    with pytest.raises(StoreUnavailable, match=r"a pooler such as PgBouncer drops .* statement_timeout = '10s'"):
        await database.ping()
    await database.close()
