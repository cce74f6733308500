"""Outcomes that the store does not take: those of others are stored, and nothing is tried whole for ever."""

import uuid

import asyncpg
import pytest

from taskyard_core.wire.gen import task_pb2
from taskyard_core.wire.gen import worker_service_pb2 as wire
from tests.e2e.raw_session import raw_session
from tests.integration.dispatcher.conftest import Yard
from tests.integration.dispatcher.test_flow import acknowledged, assigned, result

TRIGGER = """
CREATE FUNCTION taskyard.hinder() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE EXCEPTION 'hindered' USING ERRCODE = '{code}';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER hinder AFTER UPDATE ON taskyard.task REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION taskyard.hinder();
"""
POISON = "(SELECT count(*) FROM changed WHERE result = convert_to('\"poison\"', 'UTF8')) > 0"
TIMED_OUT, UNTRANSLATABLE, LIMIT_EXCEEDED = "57014", "22P05", "54000"


async def hinder(yard: Yard, condition: str, code: str) -> None:
    """Have Postgres refuse statements that change such tasks."""
    async with yard.database.connection() as connection:
        await connection.execute(TRIGGER.format(condition=condition, code=code))


async def test_a_batch_that_takes_too_long_is_tried_in_halves(yard: Yard) -> None:
    count, document = 40, b'"' + b"x" * 200_000 + b'"'
    await hinder(yard, "(SELECT sum(octet_length(result)) FROM changed) > 500000", TIMED_OUT)
    await yard.submit(count, type="demo.x")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=count) as session:
        assignments = await assigned(session, count)
        for start in range(0, count, 8):
            some = assignments[start : start + 8]
            session.send(wire.WorkerFrame(results=[result(assignment, document) for assignment in some]))
        assert await acknowledged(session, count) == [wire.VERDICT_ACCEPTED] * count
    assert await yard.count("SUCCEEDED") == count


async def test_an_outcome_that_takes_too_long_alone_keeps_nobody_waiting(yard: Yard) -> None:
    count = 50
    await hinder(yard, POISON, TIMED_OUT)
    await yard.submit(count, type="demo.x")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=count) as session:
        assignments = await assigned(session, count)
        results = [result(assignment) for assignment in assignments]
        results[20].result = b'"poison"'
        session.send(wire.WorkerFrame(results=results))
        assert await acknowledged(session, count - 1) == [wire.VERDICT_ACCEPTED] * (count - 1)
        # Its slot is taken, the others are free.
        await yard.submit(5, type="demo.x")
        again = await assigned(session, 5)
        session.send(wire.WorkerFrame(results=[result(assignment) for assignment in again]))
        assert await acknowledged(session, 5) == [wire.VERDICT_ACCEPTED] * 5
        assert await yard.count("RUNNING") == 1
        async with yard.database.connection() as connection:
            await connection.execute("DROP FUNCTION taskyard.hinder CASCADE")
        assert await acknowledged(session, 1) == [wire.VERDICT_ACCEPTED]
    assert await yard.count("SUCCEEDED") == count + 5


@pytest.mark.parametrize("code", [UNTRANSLATABLE, LIMIT_EXCEEDED])
async def test_an_outcome_that_the_store_refuses_fails_its_attempt_alone(yard: Yard, code: str) -> None:
    count = 20
    await hinder(yard, POISON, code)
    await yard.submit(count, type="demo.x")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=count) as session:
        results = [result(assignment) for assignment in await assigned(session, count)]
        results[7].result = b'"poison"'
        session.send(wire.WorkerFrame(results=results))
        verdicts = await acknowledged(session, count)
        assert verdicts == [wire.VERDICT_ACCEPTED] * (count - 1) + [wire.VERDICT_INVALID]
    failed = await yard.store.tasks.get(results[7].task_id)
    assert failed is not None
    assert failed.error is not None
    assert (failed.state, failed.error.type) == ("FAILED", "INVALID_RESULT")


async def test_a_locked_task_keeps_nobody_waiting_for_longer_than_it_takes_to_find_it(yard: Yard) -> None:
    await yard.submit(3, type="demo.x")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=3) as session:
        results = [result(assignment) for assignment in await assigned(session, 3)]
        verdicts: list[wire.Verdict.ValueType] = []
        # Not one of ours: those would be sent away for doing nothing in a transaction.
        stranger = await asyncpg.connect(yard.url)
        async with stranger.transaction():
            await stranger.execute("SELECT FROM taskyard.task WHERE id = $1 FOR UPDATE", results[0].task_id)
            session.send(wire.WorkerFrame(results=results, heartbeat=wire.Heartbeat(sequence=1)))
            while len(verdicts) < 2:
                session.send(wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=2)))
                verdicts += [ack.verdict for ack in (await session.next()).acks]
        await stranger.close()
        assert await acknowledged(session, 1) == [wire.VERDICT_ACCEPTED]
    assert await yard.count("SUCCEEDED") == 3


async def test_a_run_time_is_counted_as_far_as_it_can_be(yard: Yard) -> None:
    """What workers tell cannot ruin the histogram of a kind."""
    times = [(10**18, 0), (-(10**18), 0), (0, -(2**31)), (2**63 - 1, 2**31 - 1), (60, 0)]
    await yard.submit(len(times) + 1, type="demo.x")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=10) as session:
        results = [result(assignment) for assignment in await assigned(session, len(times) + 1)]
        for told, (seconds, nanos) in zip(results, times, strict=False):
            told.run_time.seconds, told.run_time.nanos = seconds, nanos
        results[-1].error.CopyFrom(task_pb2.TaskError(type="E", retryable=False))
        session.send(wire.WorkerFrame(results=results))
        await acknowledged(session, len(results))
    (total,) = [float(line.split()[-1]) for line in await yard.metrics("taskyard_task_run_seconds_sum")]
    assert 0 <= total < 60
