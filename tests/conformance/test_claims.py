"""What a claim promises beside being the only one: what it takes, how much of it, and what it reads."""

import math

import pytest

from taskyard_core.domain import limits
from taskyard_core.domain.transitions import Lost, Released
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed
from taskyard_core.storage.sessions import SessionRecord
from tests.conformance.task_stores import Yard
from tests.conformance.test_task_store import Life, new

FULL = b'"' + b"x" * (limits.PAYLOAD_BYTES - 2) + b'"'
"""As large as a payload may be."""
LONG = {"payload": FULL + b" ", "traceparent": "x" * (limits.TRACEPARENT_LENGTH + 1)}
"""What only SQL can have written."""


@pytest.fixture
def life(yard: Yard) -> Life:
    return Life(yard)


async def adopted(life: Life, session: str) -> list[Claimed]:
    """What the session runs, as the dispatcher is told that it moves to."""
    record = SessionRecord(id=session, namespace="default", worker="w", dispatcher="d2", types=["demo.echo"], slots=5)
    return [held.task for held in (await life.sessions.adopt(record))[1]]


async def test_a_task_that_is_to_be_cancelled_is_not_claimed(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.yard.poison(task, cancel_requested=True)
    assert await life.claimed(task, session) == []


async def test_a_claim_carries_so_many_bytes_and_no_more(life: Life) -> None:
    room = CLAIM_BYTES // len(FULL)
    tasks, session = await life.submitted(*(new() for _ in range(room + 3))), await life.session()
    for task in tasks:
        await life.yard.poison(task, payload=FULL)
    # It is not sent, and takes no room.
    await life.yard.poison(min(tasks), payload=FULL * 2)
    won = await life.changes.claim([Bid(task, 0, session) for task in tasks], {session: 1})
    assert sorted(task.task_id for task in won) == sorted(tasks)[: 1 + room]


async def test_an_attempt_begins_without_the_progress_of_the_last(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.changes.record_progress([(task, 1, '{"fraction": 0.5}')])
    assert (await life.task(task)).progress
    await life.end(task, session, Released())
    assert await life.claimed(task, session, attempt=1)
    assert (await life.task(task)).progress is None


async def test_a_claim_does_not_read_what_is_longer_than_it_may_be(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.yard.poison(task, **LONG)
    assert [(won.payload, won.traceparent) for won in await life.claimed(task, session)] == [(None, None)]


async def test_a_session_that_moves_does_not_read_what_is_longer_than_it_may_be(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.yard.poison(task, **LONG)
    assert [(held.payload, held.traceparent) for held in await adopted(life, session)] == [(None, None)]


async def test_what_was_ready_before_all_times_or_will_be_has_not_waited(life: Life) -> None:
    (past, future), session = await life.submitted(new(), new()), await life.session()
    await life.yard.poison(past, run_at=-math.inf)
    await life.yard.poison(future, run_at=1e11)
    won = [*await life.claimed(past, session), *await life.claimed(future, session)]
    assert [task.waited for task in won] == [0.0, 0.0]


async def test_what_was_ready_before_all_times_or_will_be_has_not_waited_where_its_session_moves(life: Life) -> None:
    (past, future), session = await life.submitted(new(), new()), await life.session()
    for task, moment in ((past, -math.inf), (future, 1e11)):
        await life.claimed(task, session)
        await life.yard.poison(task, run_at=moment)
    assert [held.waited for held in await adopted(life, session)] == [0.0, 0.0]


async def test_a_session_does_not_run_what_it_has_lost(life: Life) -> None:
    (lost, kept), session = await life.submitted(new(), new()), await life.session()
    await life.claimed(lost, session)
    await life.claimed(kept, session)
    await life.end(lost, session, Lost())
    async with life.store.transaction() as transaction:
        # Nobody sends them again from there.
        assert [(held.task.task_id, held.task.payload) for held in await transaction.held(session)] == [(kept, b"")]
    assert [(held.task_id, held.payload) for held in await adopted(life, session)] == [(kept, b"1")]


async def test_a_session_that_was_given_up_is_not_renewed(life: Life) -> None:
    session = await life.session()
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(session, 1, "gone")
    assert await life.sessions.renew(session, 1) is None
