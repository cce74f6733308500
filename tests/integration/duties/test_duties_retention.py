"""Retention: what is over goes after its time, with all that belongs to it, and nothing else does."""

import time
import uuid

from taskyard_core.domain.task import RetryPolicy
from taskyard_core.storage.postgres.queues import StoredQueues
from taskyard_core.storage.tasks import Keeping
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.duties.retention import Retention
from taskyard_dispatcher.timing import DutyTiming
from tests.integration.duties.conftest import Stores

DAY = 24 * 3600.0


def retention(stores: Stores, timing: DutyTiming = DutyTiming()) -> Retention:
    return Retention(stores.fenced, stores.tasks, stores.clock, Keeping(7 * DAY, 30 * DAY), timing)


_ADD_ENDED = """
WITH made AS (
    INSERT INTO taskyard.task (id, namespace, queue, type, state, payload, finished_at, idempotency_key)
    SELECT id, 'default', 'q', 't', $2, 'null', now() - make_interval(secs => $3), id::text
    FROM unnest($1::uuid[]) AS id
    RETURNING id, idempotency_key
), attempts AS (
    INSERT INTO taskyard.attempt
    SELECT id, 1, gen_random_uuid(), 'w', '', '', now(), now(), 'SUCCEEDED' FROM made
)
INSERT INTO taskyard.idempotency (namespace, key, request_hash, task_id)
SELECT 'default', idempotency_key, '', id FROM made
"""


async def add_ended(stores: Stores, count: int, state: str, days: float, *, made: float | None = None) -> None:
    """Tasks with an attempt and a key each, that ended so many days ago; `made` is when they were submitted."""
    moment = time.time() - DAY * (days if made is None else made)
    ids = [first_id(moment)[:18] + str(uuid.uuid4())[18:] for _ in range(count)]
    await stores.database.fetch(_ADD_ENDED, ids, state, DAY * days)


async def test_ended_tasks_go_after_their_time_with_attempts_and_keys(stores: Stores) -> None:
    for state in ("SUCCEEDED", "CANCELLED", "EXPIRED"):
        await add_ended(stores, 800, state, days=8)
        await add_ended(stores, 1, state, days=6)
    await add_ended(stores, 5, "SUCCEEDED", days=1, made=20)
    await stores.add(3)
    await retention(stores).run_once(await stores.lead())
    assert await stores.count("SUCCEEDED") == 6
    assert await stores.count("CANCELLED") == await stores.count("EXPIRED") == 1
    assert await stores.count("QUEUED") == 3
    assert await stores.value("SELECT count(*) FROM taskyard.attempt") == 8
    assert await stores.value("SELECT count(*) FROM taskyard.idempotency") == 8


async def test_dead_letters_are_kept_for_longer(stores: Stores) -> None:
    await add_ended(stores, 1200, "FAILED", days=8)
    await add_ended(stores, 7, "FAILED", days=31)
    await add_ended(stores, 1, "SUCCEEDED", days=7.5)
    await retention(stores).run_once(await stores.lead())
    assert await stores.count("FAILED") == 1200
    assert await stores.count("SUCCEEDED") == 0


async def test_a_walk_pauses_and_goes_on_where_it_was(stores: Stores) -> None:
    await add_ended(stores, 2500, "SUCCEEDED", days=8)
    term, duty = await stores.lead(), retention(stores, DutyTiming(retention_spell=0.0))
    await duty.run_once(term)
    assert await stores.count("SUCCEEDED") == 1500
    assert duty.interval == DutyTiming.retention_pause
    await duty.run_once(term)
    await duty.run_once(term)
    assert await stores.count("SUCCEEDED") == 0
    assert duty.interval == DutyTiming.retention_interval


async def test_ended_sessions_go_unless_something_runs_under_them(stores: Stores) -> None:
    needed = uuid.uuid4()
    for session, days in ((needed, 9), (uuid.uuid4(), 9), (uuid.uuid4(), 1)):
        await stores.database.fetch(
            "INSERT INTO taskyard.session (id, live, namespace, worker, pod, node, dispatcher, labels, types, queues,"
            " slots, sdk, version, pid, ended_at)"
            " VALUES ($1, false, 'default', 'w', '', '', 'd', '{}', '{}', '{}', 1, '', '', 1,"
            " now() - make_interval(days => $2))",
            session,
            days,
        )
    await stores.add(1)
    await stores.database.fetch("UPDATE taskyard.task SET state = 'RUNNING', session = $1, started_at = now()", needed)
    await retention(stores).run_once(await stores.lead())
    left = {row[0] for row in await stores.database.fetch("SELECT id FROM taskyard.session")}
    assert len(left) == 2
    assert needed in left


async def test_queues_that_nobody_uses_go_and_come_back_with_the_next_submit(stores: Stores) -> None:
    queues = StoredQueues(stores.database)
    names = [("default", f"q{number}") for number in range(1500)]
    await queues.register([*names, ("default", "used"), ("default", "busy")])
    await queues.update("default", "limited", None, 7, 9)
    await queues.update("default", "retried", RetryPolicy(max_attempts=3), None, 9)
    await stores.add(1, queue="busy")
    await stores.database.fetch("UPDATE taskyard.queue SET used_at = now() - interval '25 hours'")
    await queues.register([("default", "used")])
    await retention(stores).run_once(await stores.lead())
    left = "SELECT count(*) FROM taskyard.queue WHERE name IN ('used', 'limited', 'retried')"
    assert await stores.value(left) == await stores.value("SELECT count(*) FROM taskyard.queue") == 3
    assert [queue.name for queue in await queues.page(None, None, 10)] == ["busy", "limited", "retried", "used"]
    await queues.register(names[:1])
    assert await stores.value("SELECT count(*) FROM taskyard.queue") == 4


async def test_a_queue_whose_use_was_just_noted_stays_however_short_tasks_are_kept(stores: Stores) -> None:
    await StoredQueues(stores.database).register([("default", "q"), ("default", "left")])
    await stores.database.fetch(
        "UPDATE taskyard.queue SET used_at = now() - make_interval(mins => CASE name WHEN 'q' THEN 70 ELSE 130 END)"
    )
    keeping = Keeping(60.0, 60.0)
    await Retention(stores.fenced, stores.tasks, stores.clock, keeping).run_once(await stores.lead())
    assert [row[0] for row in await stores.database.fetch("SELECT name FROM taskyard.queue")] == ["q"]


async def test_a_queue_that_is_set_up_while_it_is_forgotten_stays(stores: Stores) -> None:
    queues = StoredQueues(stores.database)
    await queues.register([("default", "q")])
    await stores.database.fetch("UPDATE taskyard.queue SET used_at = now() - interval '25 hours'")
    async with stores.database.transaction() as connection:
        await connection.execute("UPDATE taskyard.queue SET max_backlog = 7")
        await retention(stores).run_once(await stores.lead())
    assert await stores.value("SELECT max_backlog FROM taskyard.queue") == 7
