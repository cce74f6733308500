"""A dispatcher answers for the sessions it holds, and for no others; and sends on whom others should have."""

import asyncio
import uuid
from collections.abc import Callable

import pytest

from simulation.memory.link import Direct
from simulation.memory.postgres import MemoryTaskStore, TaskServer
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.membership.suspicion import Patience
from taskyard_dispatcher.membership.vouching import HURRY, Vouching, VouchingTiming
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session

INTERVAL = 2.0
SPELL = 8.0
TIMING = VouchingTiming(interval=INTERVAL, patience=Patience(grace=15.0, missing=SPELL, lease=SPELL, vouched=-1.0))


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


class Registered:
    """An entry in etcd, or none."""

    def __init__(self) -> None:
        self.registered = asyncio.Event()
        self.registered.set()


class Nobody:
    """Hears of no endings: the sessions here run nothing."""

    def committed(self, *_: object) -> None:
        return


class Stage:
    """A dispatcher "me" on a store in memory."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.server = TaskServer(self.clock.time)
        self.store = MemoryTaskStore(self.server, Direct())
        self.roster = Roster()
        self.registration = Registered()
        self.vouching = Vouching(
            dispatcher="me",
            pod="p",
            address="me:1",
            sessions=self.store.sessions,
            roster=self.roster,
            loss=Loss(self.store, Nobody()),  # type: ignore[arg-type]
            registration=self.registration,  # type: ignore[arg-type]
            leading=lambda: 7,
            clock=self.clock,
            timing=TIMING,
            fresh=10.0,
        )

    async def open(self, dispatcher: str = "me", *, held: bool = True) -> str:
        id = str(uuid.uuid4())
        record = SessionRecord(id=id, namespace="default", worker="w", dispatcher=dispatcher, types=["t"], slots=2)
        generation = (await self.store.sessions.adopt(record))[0]
        if held:
            capabilities = Capabilities("default", frozenset("t"), frozenset(), {})
            self.roster.put(
                Session(
                    id=id,
                    generation=generation,
                    runner=Runner(public_name(id), "w", ""),
                    capabilities=capabilities,
                    slots=2,
                    draining=False,
                )
            )
        return id

    async def look(self, times: int = 1, *, after: float = INTERVAL) -> None:
        for _ in range(times):
            self.clock.now += after
            await self.vouching.run_once()

    async def live(self) -> set[str]:
        return {session.id for session in await self.store.sessions.live()}

    async def peer(self, *, sessions: int = 0, registered: bool = True, accepting: bool = True) -> None:
        await self.store.sessions.vouch(
            DispatcherNote(
                id="peer",
                pod="q",
                address="peer:1",
                registered=registered,
                accepting=accepting,
                sessions=sessions,
                slots=0,
            )
        )

    async def me(self) -> Peer:
        """What others are told."""
        return next(peer for peer in await self.store.sessions.vouch(_OTHER) if peer.id == "me")

    def sent(self) -> int:
        return sum(session._outgoing.go_away for session in self.roster)


_OTHER = DispatcherNote(id="looks", pod="q", address="x:1", registered=False, accepting=False, sessions=0, slots=0)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_what_it_holds_is_answered_for(stage: Stage) -> None:
    held = await stage.open()
    await stage.look(60)
    (session,) = await stage.store.sessions.live()
    assert (session.id, session.vouched) == (held, 0.0)
    told = await stage.me()
    assert (told.sessions, told.registered, told.accepting) == (1, True, True)


async def test_what_names_it_and_is_not_here_is_given_up(stage: Stage) -> None:
    held, stray, others = await stage.open(), await stage.open(held=False), await stage.open("other", held=False)
    await stage.look(7)
    assert await stage.live() == {held, stray, others}
    await stage.look(6)
    assert await stage.live() == {held, others}


async def test_a_session_in_its_grace_is_left_to_itself(stage: Stage) -> None:
    parting = await stage.open()
    await stage.look(10)
    session = stage.roster.get(parting)
    assert session is not None
    session.stream_ended()
    await stage.look(2 * int(SPELL / INTERVAL))
    assert await stage.live() == {parting}
    stage.roster.remove(session)
    await stage.look(1 + int(SPELL / INTERVAL))
    assert await stage.live() == set()


async def test_after_an_outage_strays_have_their_time_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = await stage.open(held=False)
    await stage.look(11)
    real = stage.store.sessions.live

    async def away(dispatcher: str | None = None) -> object:
        raise StoreUnavailable("postgres", "away")

    async def once(seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(stage.store.sessions, "live", away)
    monkeypatch.setattr(stage.clock, "sleep", once)
    with pytest.raises(asyncio.CancelledError):
        await stage.vouching.run()
    monkeypatch.setattr(stage.store.sessions, "live", real)
    await stage.look(int(SPELL / INTERVAL))
    assert await stage.live() == {stray}
    await stage.look(1)
    assert await stage.live() == set()


async def test_what_was_not_looked_at_is_not_answered_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(dispatcher: str | None = None) -> object:
        raise StoreUnavailable("postgres", "away")

    await stage.look()
    monkeypatch.setattr(stage.store.sessions, "live", away)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await stage.look()
    assert (await stage.me()).age == 3 * INTERVAL


async def rounds(stage: Stage, count: int, peer: Callable[[], object]) -> None:
    for _ in range(count):
        await peer()  # type: ignore[misc]
        await stage.look()


async def test_who_is_cut_off_from_etcd_is_not_ready_and_sends_its_workers_on(stage: Stage) -> None:
    for _ in range(20):
        await stage.open()
    await stage.look(5)
    stage.registration.registered.clear()
    await rounds(stage, 5, lambda: stage.peer(sessions=20))
    assert stage.vouching.obstacle is None
    assert stage.sent() == 0
    await rounds(stage, 1, lambda: stage.peer(sessions=20))
    assert "etcd" in (stage.vouching.obstacle or "")
    assert stage.sent() == 20 / HURRY
    await rounds(stage, HURRY, lambda: stage.peer(sessions=20))
    assert stage.sent() == 20
    assert not (await stage.me()).accepting
    stage.registration.registered.set()
    await rounds(stage, 2, lambda: stage.peer(sessions=20))
    assert stage.vouching.obstacle is None
    assert (await stage.me()).accepting


@pytest.mark.parametrize("peer", [{"registered": False}, {"accepting": False}])
async def test_where_nobody_is_better_off_everybody_keeps_its_workers(stage: Stage, peer: dict[str, bool]) -> None:
    for _ in range(20):
        await stage.open()
    stage.registration.registered.clear()
    await rounds(stage, 30, lambda: stage.peer(sessions=20, **peer))
    assert stage.sent() == 0
    assert (stage.vouching.obstacle is None) == (peer == {"registered": False})


async def test_a_dispatcher_with_more_than_its_share_sends_one_on_with_each_look(stage: Stage) -> None:
    for _ in range(10):
        await stage.open()
    await rounds(stage, 3, lambda: stage.peer(sessions=0))
    assert stage.sent() == 0
    await rounds(stage, 3, lambda: stage.peer(sessions=0))
    assert stage.sent() == 3
    await stage.look(6)
    before = stage.sent()
    await stage.look(10)
    assert stage.sent() == before, "the other has not been heard of for long"


async def test_the_log_names_who_is_sent_on_as_readers_know_it(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "taskyard_dispatcher.membership.vouching")
    opened = {public_name(await stage.open()) for _ in range(2)}
    await rounds(stage, 4, lambda: stage.peer(sessions=0))
    assert stage.sent() == 1
    named = {vars(record)["session"] for record in caplog.records if "another dispatcher" in record.message}
    assert len(named) == 1
    assert named <= opened


async def test_who_leaves_says_so_and_is_forgotten(stage: Stage) -> None:
    await stage.open()
    await stage.look()
    stage.vouching.leave()
    await stage.look()
    assert not (await stage.me()).accepting
    await stage.vouching.withdraw()
    await stage.look()
    (session,) = await stage.store.sessions.live()
    assert session.vouched is None
