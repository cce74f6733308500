"""Tasks whose claim's answer was lost."""

import uuid

import uuid_utils

from dispatcher.resending import Resending
from dispatcher.sessions import Session
from scheduler.clock import SystemClock
from scheduler.domain.matching import Capabilities
from scheduler.domain.submission import build
from scheduler.storage.claims import Bid
from scheduler.storage.postgres.claims import Claims
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.sessions import Sessions
from scheduler.storage.postgres.submissions import Submissions
from scheduler.storage.sessions import SessionRecord
from scheduler.storage.submissions import NewTask
from scheduler.telemetry import Runner


async def claimed(database: Database, session: str) -> str:
    """A task that Postgres says the session runs."""
    task = NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=b"1"))
    await Submissions(database).submit([task])
    assert len(await Claims(database).claim([Bid(task.id, 0, session)], {session: 1})) == 1
    return task.id


async def connected(database: Database) -> Session:
    """A session that is in Postgres and in memory, and was sent nothing."""
    session = str(uuid.uuid4())
    record = SessionRecord(
        id=session, namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=2, labels={}
    )
    await Sessions(database).hello(record)
    return Session(
        id=session,
        generation=1,
        runner=Runner(session, "w"),
        capabilities=Capabilities("default", frozenset(["demo.echo"])),
        slots=2,
        draining=False,
    )


async def test_a_task_that_was_never_sent_is_sent_and_takes_its_slot(database: Database) -> None:
    session = await connected(database)
    task = await claimed(database, session.id)
    await Resending(Sessions(database), SystemClock()).run_once(session)
    (frame,) = await session.frames()
    assert [(sent.task_id, sent.attempt, sent.resent) for sent in frame.assignments] == [(task, 1, True)]
    assert (session.free, list(session.running)) == (1, [task])


async def test_a_task_that_ends_while_the_rows_are_read_does_not_take_a_slot_for_ever(database: Database) -> None:
    session = await connected(database)
    task = await claimed(database, session.id)

    class Slow(Sessions):
        async def held(self, *args: object) -> list:  # type: ignore[type-arg]
            rows = await Sessions(database).held(session.id)
            session.forget(task, 1)
            return rows

    await Resending(Slow(database), SystemClock()).run_once(session)
    assert (session.free, session.running) == (2, {})
