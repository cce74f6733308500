"""Reaping: sessions that etcd no longer knows are given up, but never just because a store was away."""

import asyncio
import io
import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.domain.session_names import public_name
from taskyard_core.storage.dispatchers import DispatcherNote
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.journal import Journal
from taskyard_core.telemetry.lag import LagProbe
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.telemetry.styles import JsonStyle
from taskyard_core.telemetry.traces import Traces
from taskyard_dispatcher.duties.reaping import Reaping
from taskyard_dispatcher.duties.registrations import Registrations
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.membership.suspicion import Patience
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_server.dev.etcd import Etcd as EtcdServer
from taskyard_server.dev.port import free_port
from tests.integration.duties.conftest import Stores
from tests.stores.etcd import Gate

LEASE = Patience().lease
LOOK = Reaping.interval


class Reaper:
    """The duty with the watch it needs, moved through time by hand."""

    def __init__(self, stores: Stores, etcd: Etcd, term: Term, loss: Loss, aftermath: Aftermath) -> None:
        self.stores = stores
        self.term = term
        self.registrations = Registrations(etcd, stores.clock)
        self.sessions = Sessions(stores.database)
        self.reaping = Reaping(
            fenced=stores.fenced,
            sessions=self.sessions,
            registrations=self.registrations,
            loss=loss,
            aftermath=aftermath,
            clock=stores.clock,
            patience=Patience(),
        )

    async def open(self, *, registered: bool, age: float = 60.0, running: int = 2) -> str:
        """A session that said hello `age` seconds ago and runs tasks; returns its id."""
        session = str(uuid.uuid4())
        record = SessionRecord(
            id=session, namespace="default", worker="w", pod="p", dispatcher="d", types=["t"], slots=9
        )
        await self.sessions.adopt(record)
        await self.stores.database.fetch(
            "UPDATE taskyard.session SET connected_at = now() - make_interval(secs => $2) WHERE id = $1", session, age
        )
        await self.stores.add(running)
        await self.stores.database.fetch(
            "UPDATE taskyard.task SET state = 'RUNNING', attempt = 1, session = $1, started_at = now()"
            " WHERE state = 'QUEUED'",
            session,
        )
        if registered:
            await self.register(session)
        return session

    async def register(self, session: str) -> None:
        await self.stores.etcd.kv.put(self.stores.etcd.keys.session(session), b"{}")

    async def look(self, after: float = LOOK) -> None:
        """One run of the duty, some seconds after whatever was before."""
        self.stores.clock.ahead += after
        await self.reaping.run_once(self.term)

    async def hear(self, sessions: set[str]) -> None:
        """Follow the watch, through outages, until it shows these sessions."""
        async with asyncio.timeout(20):
            while self.registrations.steady_since is None or set(self.registrations.sessions) != sessions:
                with suppress(StoreUnavailable):
                    await self.registrations.run_once(self.term)

    async def live(self) -> set[str]:
        return {session.id for session in await self.sessions.live()}


@asynccontextmanager
async def reaper_of(stores: Stores, etcd: Etcd) -> AsyncIterator[Reaper]:
    aftermath = Aftermath(stores.publication, Announcements(Hints(stores.redis, stores.keys)), stores.telemetry)
    reaper = Reaper(stores, etcd, await stores.lead(), Loss(stores.store, aftermath), aftermath)
    yield reaper
    await reaper.registrations.close()
    await aftermath.close()


@pytest_asyncio.fixture(loop_scope="session")
async def reaper(stores: Stores) -> AsyncIterator[Reaper]:
    async with reaper_of(stores, stores.etcd) as reaper:
        yield reaper


async def test_a_session_that_is_gone_is_given_up_and_its_tasks_are_queued_once(reaper: Reaper) -> None:
    stays = await reaper.open(registered=True)
    gone = await reaper.open(registered=True)
    await reaper.hear({stays, gone})
    await reaper.look()
    await reaper.look(LEASE)
    await reaper.stores.etcd.kv.delete(reaper.stores.etcd.keys.session(gone))
    await reaper.hear({stays})
    await reaper.look()
    assert await reaper.live() == {stays, gone}
    await reaper.look()
    assert await reaper.live() == {stays}
    await reaper.look()
    await reaper.stores.publication.close()
    assert await reaper.stores.count("QUEUED") == 2
    assert await reaper.stores.count("RUNNING") == 2
    assert await reaper.stores.published() == await reaper.stores.ids("QUEUED")
    assert await reaper.stores.value("SELECT sum(crashes) FROM taskyard.task") == 2


async def test_what_is_told_of_a_loss_names_the_worker_and_its_pod(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    written, spans = io.StringIO(), InMemorySpanExporter()
    identity = Identity("dispatcher", "leader-0", "leader")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    metrics = Metrics(identity, {})
    journal = Journal(identity, JsonStyle(), written, metrics.ledger)
    stores.telemetry = Telemetry(metrics, Traces(provider), journal, LagProbe())
    async with reaper_of(stores, stores.etcd) as reaper:
        gone = await reaper.open(registered=False, running=1)
        await stores.database.fetch("UPDATE taskyard.task SET traceparent = $1", f"00-{'a' * 32}-{'b' * 16}-01")
        await reaper.hear(set())
        await reaper.look()
        with caplog.at_level(logging.INFO, "taskyard_dispatcher.outcomes.loss"):
            await reaper.look(LEASE)
    (record,) = caplog.records
    told = vars(record)
    assert (told["session"], told["worker"], told["worker_pod"], told["tasks"]) == (public_name(gone), "w", "p", 1)
    line = json.loads(written.getvalue())
    assert (line["outcome"], line["session"]) == ("CRASHED", public_name(gone))
    assert (line["worker"], line["worker_pod"]) == ("w", "p")
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert (span.attributes["taskyard.session"], span.attributes["taskyard.worker"]) == (public_name(gone), "w")


async def test_a_leader_whose_term_is_over_gives_nobody_up(reaper: Reaper) -> None:
    gone = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    await reaper.stores.lead(11)
    with pytest.raises(TermOver):
        await reaper.look(LEASE)
    assert await reaper.live() == {gone}
    assert await reaper.stores.count("RUNNING") == 2


async def test_nobody_is_given_up_in_the_first_lease_of_a_term(reaper: Reaper) -> None:
    gone = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    for _ in range(int(LEASE / LOOK) - 1):
        await reaper.look()
    assert await reaper.live() == {gone}
    await reaper.look()
    assert await reaper.live() == set()


async def test_nothing_is_given_up_before_etcd_was_heard(reaper: Reaper) -> None:
    await reaper.open(registered=True)
    for _ in range(3):
        await reaper.look(LEASE)
    assert len(await reaper.live()) == 1


async def test_who_said_hello_just_now_has_time_to_register(reaper: Reaper) -> None:
    young = await reaper.open(registered=False, age=5)
    await reaper.hear(set())
    for _ in range(3):
        await reaper.look(LEASE)
    assert await reaper.live() == {young}


async def test_a_registration_that_the_watch_has_not_told_of_yet_counts(reaper: Reaper) -> None:
    late = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    await reaper.register(late)
    await reaper.look(LEASE)
    assert await reaper.live() == {late}


async def answers(reaper: Reaper, ago: float = 0.0) -> None:
    note = DispatcherNote(id="d", pod="p", address="d:1", registered=False, accepting=True, sessions=1, slots=9)
    await reaper.stores.store.sessions.vouch(note)
    await reaper.stores.database.fetch(
        "UPDATE taskyard.dispatcher SET seen_at = now() - make_interval(secs => $1)", ago
    )


async def test_who_is_not_in_etcd_lives_as_long_as_its_dispatcher_answers_for_it(reaper: Reaper) -> None:
    """etcd is full, or was emptied, or its dispatcher cannot reach it: all that is no death."""
    healthy = await reaper.open(registered=False)
    await reaper.hear(set())
    for _ in range(20):
        await answers(reaper, ago=Patience().vouched - 1)
        await reaper.look(LEASE)
    assert await reaper.live() == {healthy}
    assert await reaper.stores.count("RUNNING") == 2
    await answers(reaper, ago=Patience().vouched + 1)
    await reaper.look()
    await reaper.look()
    assert await reaper.live() == set()


async def test_a_dispatcher_that_is_back_in_the_last_moment_is_in_time(reaper: Reaper) -> None:
    healthy = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    listed = reaper.registrations.listed

    async def back_meanwhile() -> set[str]:
        await answers(reaper)
        return await listed()

    reaper.registrations.listed = back_meanwhile  # type: ignore[method-assign]
    await reaper.look(LEASE)
    assert await reaper.live() == {healthy}


async def test_a_session_that_came_back_meanwhile_is_not_given_up(reaper: Reaper) -> None:
    session = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    record = SessionRecord(id=session, namespace="default", worker="w", dispatcher="e", types=["t"], slots=9)
    assert (await reaper.sessions.adopt(record))[0] == 2
    await reaper.look(LEASE)
    assert await reaper.live() == {session}


async def test_after_an_outage_of_etcd_everybody_gets_a_lease_to_register_again(
    stores: Stores, etcd_server: EtcdServer, etcd_settings: EtcdSettings
) -> None:
    async with Gate(etcd_server.port) as gate:
        settings = EtcdSettings(
            endpoints=(gate.endpoint,), prefix=etcd_settings.prefix, request_timeout=0.5, attempts=1
        )
        async with Etcd(settings) as etcd, reaper_of(stores, etcd) as reaper:
            session = await reaper.open(registered=True)
            await reaper.hear({session})
            await reaper.look(LEASE)
            await gate.shut()
            with pytest.raises(StoreUnavailable):
                await follow_for_ever(reaper)
            assert reaper.registrations.steady_since is None
            await stores.etcd.kv.delete(stores.etcd.keys.session(session))
            await reaper.look(LEASE)
            gate.reopen()
            await reaper.hear(set())
            await reaper.look()
            await reaper.look(LEASE - 3 * LOOK)
            assert await reaper.live() == {session}
            await reaper.look(2 * LOOK)
            assert await reaper.live() == set()


async def follow_for_ever(reaper: Reaper) -> None:
    while True:
        await reaper.registrations.run_once(reaper.term)


async def test_after_an_outage_of_postgres_everybody_gets_a_lease_to_say_hello_again(reaper: Reaper) -> None:
    session = await reaper.open(registered=False)
    await reaper.hear(set())
    await reaper.look()
    away = await Database.open(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    there, reaper.reaping._sessions = reaper.reaping._sessions, Sessions(away)
    with pytest.raises(StoreUnavailable):
        await reaper.look()
    reaper.reaping._sessions = there
    await away.close()
    await reaper.look(LEASE)
    await reaper.look()
    assert await reaper.live() == {session}
    await reaper.look(LEASE - LOOK)
    assert await reaper.live() == set()
