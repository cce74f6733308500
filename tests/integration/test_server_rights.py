"""The rights that docs/configuration.md gives to servers are enough for them."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from taskyard_core.domain.task import TaskError, TaskState
from taskyard_core.domain.transitions import Event, Failed, Redriven, Succeeded
from taskyard_core.storage.hints import LanesFilled
from taskyard_core.storage.identity import Identity
from taskyard_core.storage.lanes import Quota, all_names
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.delivery import RedisDelivery
from taskyard_core.storage.redis.identity import RedisIdentity
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.tasks import Keeping
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.valkey import Valkey
from tests.conformance.task_stores import PostgresYard
from tests.conformance.test_task_store import Life, new

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text()
ROLES, GRANTS, *_ = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
_numbers = itertools.count(1)


@pytest.fixture
def words() -> dict[str, str]:
    """Names of this test's own for those that the page has."""
    number = next(_numbers)
    names = ("taskyard_owner", "taskyard_server", "DATABASE taskyard", "draw one", "and another")
    return {name: f"{name}_{number}" for name in names}


def replaced(text: str, words: dict[str, str]) -> str:
    for word, other in words.items():
        text = text.replace(word, other)
    return text


async def test_servers_live_on_rows_alone(postgres_server: Postgres, words: dict[str, str]) -> None:
    admin = await asyncpg.connect(postgres_server.admin_url("postgres"))
    # One by one: a database cannot be made together with anything else.
    for statement in replaced(ROLES, words).split(";\n")[:-1]:
        await admin.execute(statement)
    place = f"127.0.0.1:{postgres_server.port}/{words['DATABASE taskyard'].split()[1]}"
    owner, server = (
        f"postgresql://{words[role]}:{words[password].replace(' ', '%20')}@{place}"
        for role, password in (("taskyard_owner", "draw one"), ("taskyard_server", "and another"))
    )
    connection = await asyncpg.connect(owner)
    await connection.execute(replaced(GRANTS, words))
    await connection.close()
    await asyncio.to_thread(migrate, owner)
    database = await Database.open(server)
    await live(Life(PostgresYard(database)))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await forbidden(server)
    await database.close()
    await admin.execute(f"DROP {words['DATABASE taskyard']} WITH (FORCE)")
    await admin.close()


async def forbidden(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP TABLE taskyard.task")
    finally:
        await connection.close()


async def live(life: Life) -> None:
    """A bit of everything that servers write."""
    tasks = await life.submitted(new("key"), new())
    _, entries = await life.queued.unpublished(-1, 10)
    assert {task for lane in entries.values() for task, _ in lane} == set(tasks)
    session = await life.session()
    events: tuple[Event, ...] = (Succeeded(b"1"), Failed(TaskError("E", "m", "", False)))
    for task, event in zip(tasks, events, strict=True):
        assert await life.claimed(task, session)
        await life.end(task, session, event)
    assert [(await life.task(task)).state for task in tasks] == [TaskState.SUCCEEDED, TaskState.FAILED]
    await life.decided(tasks[1], Redriven())
    await life.store.queues.register([("default", "other")])
    await life.store.leader.begin(1, "d")
    async with life.store.leader.duty(1) as transaction:
        assert await transaction.end_session(session, 1, "gone")
        assert await transaction.delete_ended(tasks, Keeping(0, 0)) == 1


async def test_servers_do_without_the_right_to_configure_redis(valkey_server: Valkey) -> None:
    (line,) = re.findall(r"`(ACL SETUSER taskyard .*?)`", PAGE)
    async with connect(valkey_server.admin_url) as admin:
        await admin.execute_command(line.replace("PASSWORD", "drawn"))  # type: ignore[no-untyped-call]
        async with connect(f"redis://taskyard:drawn@127.0.0.1:{valkey_server.port}/0") as server:
            delivery, lane = RedisDelivery(server, Keys()), "default/default/demo.echo/5/"
            await delivery.lanes.publish({lane: [("task", 1)]})
            assert await delivery.epoch.begin(1) == await delivery.epoch.current()
            taken = await delivery.lanes.take("d", [Quota(lane, 1)], 1)
            assert [entry.task_id for entry in taken] == ["task"]
            await delivery.lanes.ack(taken)
            await delivery.hints.tasks_finished(["task"])
            await delivery.ping()
        await admin.acl_deluser("taskyard")


def rights() -> tuple[list[str], list[str]]:
    """Commands that the page says are needed in Redis, and keys."""
    rows = re.findall(r"^\| (?:connections|which|lanes|names|epoch|hints).*", PAGE, re.MULTILINE)
    commands, places = zip(*(row.replace("\\|", "/").split("|")[2:4] for row in rows), strict=True)
    # None of Redis 7's names of subcommands, so that one before it has the same list.
    names = [word.partition("/")[0] for word in re.findall(r"`([a-z/]+)`", " ".join(commands))]
    return sorted(set(names)), re.findall(r"`PREFIX(:\S+)`", " ".join(places))


@pytest_asyncio.fixture(loop_scope="session")
async def limited(valkey_server: Valkey) -> AsyncIterator[tuple[Redis, Redis]]:
    """An administrator, and a server with no other rights than the page tells."""
    commands, places = rights()
    keys = [f"&few{place}" if "hints" in place else f"~few{place}" for place in places]
    async with connect(valkey_server.admin_url) as admin:
        await admin.execute_command("ACL SETUSER few on >drawn", *keys, *(f"+{name}" for name in commands))  # type: ignore[no-untyped-call]
        async with connect(f"redis://few:drawn@127.0.0.1:{valkey_server.port}/3") as server:
            yield admin, server
        await admin.acl_deluser("few")


async def test_servers_do_with_the_commands_that_are_told(limited: tuple[Redis, Redis]) -> None:
    _, server = limited
    keys = Keys("few")
    identity = Identity()
    identity.learn("cluster")
    await RedisIdentity(identity, keys).check(server)
    delivery, lane = RedisDelivery(server, keys), "default/default/demo.echo/5/"
    async with delivery.listen(LanesFilled) as hints:
        await anext(hints)
        await delivery.lanes.publish({lane: [("one", 1), ("two", 1)]})
        assert await anext(hints) == LanesFilled((lane,))
    await delivery.epoch.begin(1)
    one, two = await delivery.lanes.take("d", [Quota(lane, 2)], 2)
    await delivery.lanes.ack([one])
    await delivery.lanes.give_back([two])
    await delivery.lanes.take("d", [Quota(lane, 1)], 1)
    assert len(await delivery.lanes.reclaim("e", [lane], 0, 10)) == 1
    assert (await delivery.lanes.depths([lane]))[lane].length == 1
    assert await all_names(delivery.lanes) == {lane}
    assert not await delivery.lanes.sweep(lane, 1_000_000)
    await delivery.ping()


async def refusal(delivery: RedisDelivery) -> str:
    """What a ping says while the right to something is missing; empty if nothing is."""
    try:
        await delivery.ping()
    except StoreUnavailable as error:
        return error.detail.lower() if error.refused else ""
    return ""


async def test_whichever_right_is_missing_shows(limited: tuple[Redis, Redis]) -> None:
    admin, server = limited
    keys = Keys("few")
    await server.set(keys.cluster, "cluster")
    delivery = RedisDelivery(server, keys)
    # The others are what connections are made with, and cannot be without.
    for command in set(rights()[0]) - {"ping", "client", "select", "subscribe", "unsubscribe", "set", "get"}:
        await admin.execute_command("ACL SETUSER few", f"-{command}")  # type: ignore[no-untyped-call]
        assert command in await refusal(delivery)
        await admin.execute_command("ACL SETUSER few", f"+{command}")  # type: ignore[no-untyped-call]
        assert not await refusal(delivery)
    await admin.execute_command("ACL SETUSER few resetchannels")  # type: ignore[no-untyped-call]
    assert "channel" in await refusal(delivery)


async def test_who_may_not_listen_shows(limited: tuple[Redis, Redis]) -> None:
    admin, server = limited
    delivery = RedisDelivery(server, Keys("few"))
    await admin.execute_command("ACL SETUSER few -subscribe")  # type: ignore[no-untyped-call]
    async with delivery.listen(LanesFilled) as hints:
        listening = asyncio.ensure_future(anext(hints))
        async with asyncio.timeout(60):
            while "subscribe" not in await refusal(delivery):
                assert not listening.done()
        await admin.execute_command("ACL SETUSER few +subscribe")  # type: ignore[no-untyped-call]
        await listening
        assert not await refusal(delivery)
