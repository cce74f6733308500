"""The rights that docs/configuration.md gives to servers are enough for them."""

import asyncio
import itertools
import re
from pathlib import Path

import asyncpg
import pytest

from scheduler.domain.task import TaskError, TaskState
from scheduler.domain.transitions import Event, Failed, Redriven, Succeeded
from scheduler.storage.history import Keeping
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.migration import migrate
from scheduler.storage.redis import Keys, Quota, connect
from scheduler.storage.redis.delivery import RedisDelivery
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
    _, entries = await life.outbox.stale(-1, 10)
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
        await admin.acl_deluser("taskyard")
