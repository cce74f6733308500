"""Dispatchers that answer for their sessions."""

import uuid
from dataclasses import replace

from taskyard_core.storage.dispatchers import DispatcherNote
from taskyard_core.storage.sessions import SessionRecord
from tests.conformance.task_stores import Yard


def note(id: str, *, sessions: int = 0, registered: bool = True) -> DispatcherNote:
    return DispatcherNote(
        id=id, pod="p", address="a:1", registered=registered, accepting=True, sessions=sessions, slots=sessions * 2
    )


def hello(session: str, dispatcher: str) -> SessionRecord:
    return SessionRecord(id=session, namespace="default", worker="w", dispatcher=dispatcher, types=["t"], slots=1)


async def test_each_is_told_of_all_others(yard: Yard) -> None:
    sessions = yard.store.sessions
    assert await sessions.vouch(note("b")) == []
    (b,) = await sessions.vouch(note("a", sessions=3))
    assert (b.id, b.registered, b.accepting, b.sessions) == ("b", True, True, 0)
    assert 0 <= b.age < 5
    (a,) = await sessions.vouch(note("b", registered=False))
    assert (a.id, a.sessions) == ("a", 3)
    await sessions.leave("a")
    assert await sessions.vouch(note("b")) == []


async def test_a_session_is_answered_for_by_the_dispatcher_that_it_said_hello_to_last(yard: Yard) -> None:
    store, session = yard.store, str(uuid.uuid4())
    await store.sessions.adopt(hello(session, "silent"))
    (alone,) = await store.sessions.live()
    assert alone.vouched is None
    await store.sessions.vouch(note("speaks"))
    assert [live.vouched for live in await store.sessions.live()] == [None]
    await store.sessions.adopt(hello(session, "speaks"))
    (vouched,) = await store.sessions.live("speaks")
    assert vouched.vouched is not None
    assert 0 <= vouched.vouched < 5
    assert await store.sessions.live("silent") == []


async def test_dispatchers_that_fell_silent_long_ago_are_forgotten(yard: Yard) -> None:
    store = yard.store
    await store.sessions.vouch(note("old"))
    async with store.transaction() as transaction:
        await transaction.delete_dispatchers(60.0)
    assert [peer.id for peer in await store.sessions.vouch(note("a"))] == ["old"]
    async with store.transaction() as transaction:
        await transaction.delete_dispatchers(-60.0)
    assert await store.sessions.vouch(note("a")) == []


async def test_who_leads_is_told_as_long_as_it_says_so_itself(yard: Yard) -> None:
    store = yard.store
    await store.leader.begin(7, "a")
    assert await store.leader.led_by(60.0) is None
    await store.sessions.vouch(replace(note("a"), leading=7))
    assert await store.leader.led_by(60.0) == "a"
    assert await store.leader.led_by(-60.0) is None
    await store.sessions.vouch(replace(note("b"), leading=7))
    await store.leader.begin(8, "b")
    assert await store.leader.led_by(60.0) is None
