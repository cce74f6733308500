"""Tasks whose claim's answer was lost."""

import uuid
from collections.abc import Collection

import pytest
import uuid_utils

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import AttemptKey
from taskyard_core.domain.transitions import Runner
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.claims import CLAIM_BYTES, Bid
from taskyard_core.storage.sessions import Held, SessionRecord
from taskyard_core.storage.store import TaskStore
from taskyard_core.storage.submissions import NewTask
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions.state import Running, Session
from tests.conformance.outcomes import completion
from tests.conformance.task_stores import Yard


async def queued(store: TaskStore) -> str:
    """A task that waits."""
    task = NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=b"1"))
    await store.submissions.submit([task])
    return task.id


async def claimed(store: TaskStore, session: str) -> str:
    """A task that the store says the session runs."""
    task = await queued(store)
    assert len(await store.changes.claim([Bid(task, 0, session)], {session: 1})) == 1
    return task


def record(session: str, slots: int) -> SessionRecord:
    """What its worker says."""
    return SessionRecord(
        id=session, namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=slots, labels={}
    )


async def connected(store: TaskStore, slots: int = 2) -> Session:
    """A session that is in the store and in the dispatcher, and was sent nothing."""
    session = str(uuid.uuid4())
    await store.sessions.adopt(record(session, slots))
    return Session(
        id=session,
        generation=1,
        runner=Runner(session, "w"),
        capabilities=Capabilities("default", frozenset(["demo.echo"])),
        slots=slots,
        draining=False,
    )


def resending(store: TaskStore) -> Resending:
    """As a dispatcher has it."""
    return Resending(store.sessions, Handover(completion(store)), SystemClock())


async def test_a_task_that_was_never_sent_is_sent_and_takes_its_slot(yard: Yard) -> None:
    session = await connected(yard.store)
    task = await claimed(yard.store, session.id)
    await resending(yard.store).run_once(session)
    (frame,) = session.frames()
    assert [(sent.task_id, sent.attempt, sent.resent) for sent in frame.assignments] == [(task, 1, True)]
    assert (session.free, list(session.running)) == (1, [task])


async def test_a_task_that_ends_while_the_rows_are_read_does_not_take_a_slot_for_ever(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await connected(yard.store)
    task = await claimed(yard.store, session.id)

    async def held(id: str, known: Collection[AttemptKey]) -> list[Held]:
        rows = await read(id, known)
        session.forget(task, 1)
        return rows

    sessions = yard.store.sessions
    read = sessions.held
    monkeypatch.setattr(sessions, "held", held)
    await resending(yard.store).run_once(session)
    assert (session.free, session.running) == (2, {})


async def test_a_claim_that_comes_late_finds_its_generation_over(yard: Yard) -> None:
    """Its dispatcher has given up waiting for it, and learns what the session runs."""
    session = await connected(yard.store)
    taken, late = await claimed(yard.store, session.id), await queued(yard.store)
    await resending(yard.store).settle(session)
    assert (session.generation, session.connected, list(session.running)) == (2, True, [taken])
    assert await yard.store.changes.claim([Bid(late, 0, session.id)], {session.id: 1}) == []
    assert len(await yard.store.changes.claim([Bid(late, 0, session.id)], {session.id: 2})) == 1


async def test_a_session_that_is_elsewhere_by_now_is_left_to_its_dispatcher(yard: Yard) -> None:
    session = await connected(yard.store)
    await claimed(yard.store, session.id)
    session.renewed(0)
    await resending(yard.store).settle(session)
    assert (session.connected, session.running) == (False, {})
    assert await yard.store.sessions.generations([session.id]) == {session.id: 1}


async def test_a_newer_attempt_of_a_task_that_was_never_sent_is_sent(yard: Yard) -> None:
    session = await connected(yard.store)
    task = await claimed(yard.store, session.id)
    (held,) = await yard.store.sessions.held(session.id)
    session.assign([Running(held.task._replace(attempt=0), 0.0)], [])
    await resending(yard.store).run_once(session)
    assert session.runs(task, 1)


LARGE = b'"' + b"x" * 200_000 + b'"'
AT_ONCE = CLAIM_BYTES // len(LARGE) + 1


async def large(store: TaskStore, session: str, count: int) -> list[str]:
    """Tasks with large payloads that the store says the session runs; by id."""
    tasks = [NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=LARGE)) for _ in range(count)]
    await store.submissions.submit(tasks)
    won = [task for new in tasks for task in await store.changes.claim([Bid(new.id, 0, session)], {session: 1})]
    assert len(won) == count
    return sorted(task.task_id for task in won)


async def test_payloads_come_until_they_are_as_many_as_of_a_claim_and_none_of_what_is_known(yard: Yard) -> None:
    session = await connected(yard.store, 40)
    tasks = await large(yard.store, session.id, 30)
    held = await yard.store.sessions.held(session.id)
    assert [row.task.task_id for row in held] == tasks
    assert [row.task.payload for row in held] == [LARGE] * AT_ONCE + [b""] * (30 - AT_ONCE)
    assert [row.unread for row in held] == [False] * AT_ONCE + [True] * (30 - AT_ONCE)
    # Another attempt of a task is not that one.
    known = [(task, 1) for task in tasks[1:20]] + [(tasks[20], 2)]
    generation, held = await yard.store.sessions.adopt(record(session.id, 40), known)
    assert generation == 2
    assert [row.task.payload for row in held] == [LARGE, *[b""] * 19, *[LARGE] * 10]
    assert not any(row.unread for row in held)
    async with yard.store.transaction() as transaction:
        held = await transaction.held(session.id)
    assert [(row.task.task_id, row.task.payload) for row in held] == [(task, b"") for task in tasks]


async def test_what_is_too_much_at_once_is_sent_in_turn_and_takes_its_slots_meanwhile(yard: Yard) -> None:
    session = await connected(yard.store, 61)
    tasks = await large(yard.store, session.id, 60)
    received: list[str] = []
    rounds = 0
    while len(received) < 60:
        await resending(yard.store).run_once(session)
        rounds += 1
        assert (session.full, session.free) == (True, 0)
        assert len(session.running) == min(60, rounds * AT_ONCE)
        received += [sent.task_id for frame in session.frames() for sent in frame.assignments]
        session.sent()
        assert session.free == 1
    assert received == tasks
    assert (session.lacking, rounds) == (0, 3)
