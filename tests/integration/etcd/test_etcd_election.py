"""Elections: one leader at a time, the next one in time, and never trust beyond the lease."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dispatcher.leadership import Candidate, ElectionTiming, Elector, LeaderRecord, Term
from scheduler.storage.etcd import Etcd, EtcdSettings
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import crash, restart

CAMPAIGNER = Path(__file__).with_name("campaigner.py")
QUICK = ElectionTiming(ttl=2, margin=0.5, rest=(0.05, 0.1))


class Turns:
    """The work of a leader that only takes note of its terms."""

    def __init__(self) -> None:
        self.terms: asyncio.Queue[Term] = asyncio.Queue()
        self.over: asyncio.Queue[Term] = asyncio.Queue()
        self.fail = asyncio.Event()

    async def lead(self, term: Term) -> None:
        self.terms.put_nowait(term)
        try:
            await self.fail.wait()
            raise RuntimeError("a duty failed")
        finally:
            self.over.put_nowait(term)

    async def next_term(self, within: float = 10.0) -> Term:
        async with asyncio.timeout(within):
            return await self.terms.get()

    async def next_end(self, within: float = 10.0) -> Term:
        async with asyncio.timeout(within):
            return await self.over.get()


def elector(
    etcd: Etcd,
    name: str,
    timing: ElectionTiming = QUICK,
    on_leader: Callable[[LeaderRecord | None], None] | None = None,
) -> Elector:
    candidate = Candidate(dispatcher_id=name, pid=1, pod=name, address=f"{name}:7071")
    return Elector(etcd, candidate, timing=timing, on_leader=on_leader)


@asynccontextmanager
async def running(one: Elector, turns: Turns) -> AsyncIterator[None]:
    task = asyncio.ensure_future(one.run(turns.lead))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def campaigning(settings: EtcdSettings, name: str, ttl: int) -> AsyncIterator[Process]:
    arguments = (settings.endpoints[0], settings.prefix, name, str(ttl))
    process = await asyncio.create_subprocess_exec(sys.executable, str(CAMPAIGNER), *arguments, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(process: Process, event: str, within: float = 10.0) -> dict[str, Any]:
    """Reads the campaigner's lines up to and including one about `event`."""
    assert process.stdout is not None
    async with asyncio.timeout(within):
        async for line in process.stdout:
            report: dict[str, Any] = json.loads(line)
            if report["event"] == event:
                return report
    raise AssertionError(f"the campaigner ended without {event}")


async def test_the_first_leads_and_everybody_knows(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    heard_of: asyncio.Queue[LeaderRecord | None] = asyncio.Queue()
    other, others = elector(etcd, "other", on_leader=heard_of.put_nowait), Turns()
    async with running(one, turns):
        term = await turns.next_term()
        assert one.is_leader
        assert one.term is term
        assert term.is_trusted()
        async with running(other, others), asyncio.timeout(5.0):
            leader = await heard_of.get()
            assert leader == other.leader == one.leader
            assert leader is not None
            assert (leader.candidate.dispatcher_id, leader.term) == ("one", term.number)
            await two_candidates(etcd)
            assert not other.is_leader
            assert others.terms.empty()
            await one.resign()
            while (leader := await heard_of.get()) is None:
                pass
            assert leader.candidate.dispatcher_id == "other"


async def test_resigning_hands_over_within_a_second(etcd: Etcd) -> None:
    one, other = elector(etcd, "one"), elector(etcd, "other")
    turns, others = Turns(), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        async with running(other, others):
            await two_candidates(etcd)
            resigned_at = time.monotonic()
            await one.resign()
            second = await others.next_term(1.0)
            assert time.monotonic() - resigned_at < 1.0
            assert second.number > first.number
            assert not first.is_trusted()
            assert turns.over.qsize() == 1
            assert one.term is None


async def two_candidates(etcd: Etcd) -> None:
    watch = etcd.watch(etcd.keys.election)
    async for _ in watch:
        if len(watch.current) >= 2:
            break
    await watch.aclose()


async def test_failed_work_resigns_rests_and_stands_again(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        turns.fail.set()
        second = await turns.next_term()
        assert second.number > first.number
        assert not first.is_trusted()


async def test_work_that_ends_hands_over(etcd: Etcd) -> None:
    one = elector(etcd, "one", ElectionTiming(ttl=2, margin=0.5, rest=(60.0, 60.0)))
    turns, others = Turns(), Turns()
    async with running(one, turns):
        await turns.next_term()
        async with running(elector(etcd, "other"), others):
            await two_candidates(etcd)
            turns.fail.set()
            await others.next_term(1.0)


async def test_a_leader_whose_key_is_deleted_stops_and_stands_again(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        (item,) = (await etcd.kv.get_prefix(etcd.keys.election)).items
        await etcd.kv.delete(item.key)
        assert await turns.next_end(1.0) is first
        assert (await turns.next_term()).number > first.number


async def test_sigkill_of_the_leader_hands_over_within_seven_seconds(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "victim", ttl=5) as victim:
        first = await heard(victim, "leads")
        turns = Turns()
        async with running(elector(etcd, "heir", ElectionTiming()), turns):
            await two_candidates(etcd)
            victim.kill()
            killed_at = time.monotonic()
            second = await turns.next_term(7.0)
            assert time.monotonic() - killed_at < 7.0
            assert second.number > first["term"]


async def test_sigterm_of_the_leader_hands_over_within_a_second(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "leaver", ttl=5) as leaver:
        await heard(leaver, "leads")
        turns = Turns()
        async with running(elector(etcd, "heir", ElectionTiming()), turns):
            await two_candidates(etcd)
            leaver.terminate()
            await turns.next_term(1.0)
            await heard(leaver, "exits")


async def test_a_leader_that_was_stopped_does_nothing_more_when_it_wakes(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "sleeper", ttl=2) as sleeper:
        first = await heard(sleeper, "acts")
        turns = Turns()
        async with running(elector(etcd, "heir"), turns):
            await two_candidates(etcd)
            sleeper.send_signal(signal.SIGSTOP)
            second = await turns.next_term()
            assert second.number > first["term"]
            woken_at = time.monotonic()
            sleeper.send_signal(signal.SIGCONT)
            assert sleeper.stdout is not None
            async with asyncio.timeout(5.0):
                async for line in sleeper.stdout:
                    report = json.loads(line)
                    if report["event"] == "stops":
                        break
                    # What it wrote before it was stopped is still in the pipe.
                    assert report["at"] < woken_at
            assert second.is_trusted()


@pytest.mark.parametrize("ttl", [2, 5])
async def test_a_leader_stops_in_time_when_etcd_dies_and_returns_with_it(
    own_server: EtcdServer, own_etcd: Etcd, ttl: int
) -> None:
    one, turns = elector(own_etcd, "one", ElectionTiming(ttl=ttl, margin=1.0)), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        await crash(own_server)
        died_at = time.monotonic()
        assert await turns.next_end() is first
        assert time.monotonic() - died_at < ttl - 1.0 + 0.5
        assert not first.is_trusted()
        await restart(own_server)
        # Sooner than the old key would expire, which etcd gives a new TTL when it starts.
        assert (await turns.next_term(4.0)).number > first.number


async def test_a_leader_goes_on_through_a_quick_restart_of_etcd(own_server: EtcdServer, own_etcd: Etcd) -> None:
    one, turns = elector(own_etcd, "one", ElectionTiming(ttl=10, margin=1.0)), Turns()
    async with running(one, turns):
        term = await turns.next_term()
        await crash(own_server)
        await restart(own_server)
        until = term.trusted_until
        await asyncio.wait({asyncio.ensure_future(turns.over.get())}, timeout=5.0)
        assert term.is_trusted()
        assert term.trusted_until > until
        assert one.leader is not None
        assert one.leader.term == term.number


async def test_an_elector_waits_for_an_etcd_that_is_not_there_yet(own_server: EtcdServer, own_etcd: Etcd) -> None:
    await crash(own_server)
    turns = Turns()
    async with running(elector(own_etcd, "early"), turns):
        await restart(own_server)
        await turns.next_term(15.0)


async def test_work_that_does_not_stop_keeps_its_process_from_standing_again(etcd: Etcd) -> None:
    started: asyncio.Queue[Term] = asyncio.Queue()
    release = asyncio.Event()

    async def stubborn(term: Term) -> None:
        started.put_nowait(term)
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()

    one = elector(etcd, "one", ElectionTiming(ttl=2, margin=0.5, stop_grace=0.1))
    task = asyncio.ensure_future(one.run(stubborn))
    term = await started.get()
    (item,) = (await etcd.kv.get_prefix(etcd.keys.election)).items
    async with running(elector(etcd, "other"), turns := Turns()):
        await two_candidates(etcd)
        await etcd.kv.delete(item.key)
        await turns.next_term(1.0)
        assert not term.is_trusted()
        assert started.empty()
        assert len((await etcd.kv.get_prefix(etcd.keys.election)).items) == 1
        release.set()
        await two_candidates(etcd)
        await one.resign()
        await task
