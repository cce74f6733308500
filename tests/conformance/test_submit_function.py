"""Transactional enqueue: a task that exists only if its user's own transaction commits. Postgres alone has it."""

import asyncpg
import pytest

from taskyard_core.domain.task import TaskState
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.store import PostgresStore


async def test_enqueueing_inside_a_users_own_transaction(database: Database) -> None:
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT taskyard.submit('a.b', '{}')")
        await transaction.rollback()
    assert (await database.fetch("SELECT count(*) FROM taskyard.task"))[0][0] == 0
    query = "SELECT taskyard.submit('a.b', '{\"n\": 1}', idempotency_key => 'k', run_at => now() + interval '1 h')"
    first = (await database.fetch(query))[0][0]
    assert (await database.fetch(query))[0][0] == first
    task = await PostgresStore(database).tasks.get(str(first))
    assert task is not None
    assert (task.state, task.payload, first.version) == (TaskState.SCHEDULED, b'{"n": 1}', 7)


async def test_an_empty_key_is_refused(database: Database) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match=r"^idempotency_key: must not be empty; leave it out"):
        await database.fetch("SELECT taskyard.submit('a.b', '{}', idempotency_key => '')")
    assert len(await database.fetch("SELECT taskyard.submit('a.b', '{}', idempotency_key => NULL)")) == 1
