"""Transactional enqueue: a task that exists only if its user's own transaction commits. Postgres alone has it."""

import json
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import uuid_utils

from taskyard_core.domain.submission import build
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.submissions import Conflict, NewTask, Submitted
from taskyard_scheduler.meaning import canonical, request_hash, written_hash


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


NUMBERS = [
    *("0", "-0.0", "1", "1.0", "10", "1e2", "-12.50", "1e-7", "0.1", "1e308", "-1e-308", "123456789012345678901.5"),
    *("25e-31", "-2.5e-31", "1e-30", "1e-31", "-123456789012345678901.0"),
]
TEXTS = ["", "a", "b", "ab", "é", "z", "\U0001f600", "\ufffd", "\x7f", '"\\/\b\f\n\r\t\x01', "\u2028"]


def drawn(draw: random.Random, levels: int) -> str:
    """A JSON document, in one of the ways that it can be written."""
    match draw.choice(["number", "text", "word", "array", "object"][: 5 if levels else 3]):
        case "number":
            return draw.choice([*NUMBERS, str(draw.randrange(-(2**70), 2**70)), repr(draw.uniform(-1e3, 1e3))])
        case "text":
            return json.dumps(draw.choice(TEXTS), ensure_ascii=draw.random() < 0.5)
        case "word":
            return draw.choice(["null", "true", "false"])
        case "array":
            return f"[{', '.join(drawn(draw, levels - 1) for _ in range(draw.randrange(4)))}]"
    members = [f"{json.dumps(draw.choice(TEXTS))}: {drawn(draw, levels - 1)}" for _ in range(draw.randrange(6))]
    return f"{{{','.join(members)}}}"


async def test_sql_and_the_scheduler_write_the_same_canonical_form(database: Database) -> None:
    documents = [drawn(random.Random(seed), 3) for seed in range(1500)]
    forms = await database.fetch(
        "SELECT taskyard.canonical_json(document::jsonb)"
        " FROM unnest($1::text[]) WITH ORDINALITY AS given (document, place) ORDER BY place",
        documents,
    )
    assert [row[0] for row in forms] == [canonical(document.encode()).decode() for document in documents]


SUBMIT = """
SELECT taskyard.submit('a.b', $1::text::jsonb, queue => 'q', priority => 7, selector => ' gpu , io in (b,a)',
                       timeout => $2, idempotency_key => 'k')
"""


async def submit_over_sql(database: Database, payload: str, timeout: float) -> str:
    return str((await database.fetch(SUBMIT, payload, timedelta(seconds=timeout)))[0][0])


async def submit_over_api(database: Database, payload: str, timeout: float) -> Submitted | Conflict:
    fields: dict[str, Any] = {"queue": "q", "priority": 7, "selector": "gpu,io in (a,b)", "idempotency_key": "k"}
    spec = build(type="a.b", payload=payload.encode(), timeout=timeout, **fields)
    task = NewTask(str(uuid_utils.uuid7()), spec, request_hash(spec), written_hash(spec))
    return (await PostgresStore(database).submissions.submit([task])).outcomes[0]


async def test_a_key_is_one_over_sql_and_over_the_api(database: Database) -> None:
    first = await submit_over_sql(database, '{"n": 1.50, "m": 2}', 0.1)
    same = await submit_over_api(database, '{"m":2.0,"n":15e-1}', 0.1)
    assert isinstance(same, Submitted)
    assert (same.task_id, same.deduplicated) == (first, True)
    assert await submit_over_api(database, '{"m":2.0,"n":15e-1}', 0.2) == Conflict(first)
    assert await submit_over_api(database, '{"m":2.1,"n":15e-1}', 0.1) == Conflict(first)


async def test_a_key_is_one_over_the_api_and_over_sql(database: Database) -> None:
    first = await submit_over_api(database, '{"n":1,"m":2592000.123456}', 2592000.0)
    assert isinstance(first, Submitted)
    assert await submit_over_sql(database, '{"m": 2592000.123456, "n": 1.0}', 2592000.0) == first.task_id
    with pytest.raises(asyncpg.UniqueViolationError):
        await submit_over_sql(database, '{"m": 2592000.123456, "n": 1.0}', 2591999.999999)


async def test_keys_of_the_version_before_are_compared_as_they_were_then(database: Database) -> None:
    first = await submit_over_api(database, '{"n": 1}', 1.0)
    assert isinstance(first, Submitted)
    await database.fetch("UPDATE taskyard.idempotency SET meaning = NULL")
    again = await submit_over_api(database, '{"n": 1}', 1.0)
    assert isinstance(again, Submitted)
    assert (again.task_id, again.deduplicated) == (first.task_id, True)
    assert await submit_over_api(database, '{"n":1}', 1.0) == Conflict(first.task_id)
    # What SQL stored then knew another hash, which it compares alone.
    await database.fetch("DELETE FROM taskyard.idempotency")
    over_sql = await submit_over_sql(database, '{"n": 1}', 1.0)
    await database.fetch("UPDATE taskyard.idempotency SET meaning = NULL")
    assert await submit_over_sql(database, '{"n":1}', 1.0) == over_sql
    with pytest.raises(asyncpg.UniqueViolationError):
        await submit_over_sql(database, '{"n": 2}', 1.0)
