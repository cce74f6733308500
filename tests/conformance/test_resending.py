"""Tasks whose claim's answer was lost."""

import uuid

import pytest
import uuid_utils

from dispatcher.resending import Resending
from dispatcher.sessions import Session
from scheduler.clock import SystemClock
from scheduler.domain.matching import Capabilities
from scheduler.domain.submission import build
from scheduler.storage.claims import Bid
from scheduler.storage.sessions import Held, SessionRecord
from scheduler.storage.store import TaskStore
from scheduler.storage.submissions import NewTask
from scheduler.telemetry import Runner
from tests.conformance.task_stores import Yard


async def claimed(store: TaskStore, session: str) -> str:
    """A task that the store says the session runs."""
    task = NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=b"1"))
    await store.submissions.submit([task])
    assert len(await store.claims.claim([Bid(task.id, 0, session)], {session: 1})) == 1
    return task.id


async def connected(store: TaskStore) -> Session:
    """A session that is in the store and in the dispatcher, and was sent nothing."""
    session = str(uuid.uuid4())
    record = SessionRecord(
        id=session, namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=2, labels={}
    )
    await store.sessions.hello(record)
    return Session(
        id=session,
        generation=1,
        runner=Runner(session, "w"),
        capabilities=Capabilities("default", frozenset(["demo.echo"])),
        slots=2,
        draining=False,
    )


async def test_a_task_that_was_never_sent_is_sent_and_takes_its_slot(yard: Yard) -> None:
    session = await connected(yard.store)
    task = await claimed(yard.store, session.id)
    await Resending(yard.store.sessions, SystemClock()).run_once(session)
    (frame,) = await session.frames()
    assert [(sent.task_id, sent.attempt, sent.resent) for sent in frame.assignments] == [(task, 1, True)]
    assert (session.free, list(session.running)) == (1, [task])


async def test_a_task_that_ends_while_the_rows_are_read_does_not_take_a_slot_for_ever(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await connected(yard.store)
    task = await claimed(yard.store, session.id)

    async def held(id: str) -> list[Held]:
        rows = await read(id)
        session.forget(task, 1)
        return rows

    sessions = yard.store.sessions
    read = sessions.held
    monkeypatch.setattr(sessions, "held", held)
    await Resending(sessions, SystemClock()).run_once(session)
    assert (session.free, session.running) == (2, {})
