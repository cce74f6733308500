"""Elections: one leader at a time, the next one in time, and never trust beyond the lease."""

import asyncio
import time

import pytest

from taskyard_core.storage.etcd import Etcd
from taskyard_dispatcher.leadership import ElectionTiming, Term
from tests.conformance.etcd.conftest import Stage
from tests.stores.election import Turns, elector, running, two_candidates, until_led


async def test_the_first_leads_and_everybody_knows(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    other, others = elector(etcd, "other"), Turns()
    async with running(one, turns):
        term = await turns.next_term()
        assert one.is_leader
        assert term.is_trusted()
        async with running(other, others), asyncio.timeout(5.0):
            leader = await until_led(other, by="one", term=term.number)
            assert leader == one.leader
            assert leader.term == term.number
            await two_candidates(etcd)
            assert not other.is_leader
            assert others.terms.empty()
            await one.resign()
            await until_led(other, by="other", term=term.number + 1)


# Longer than a test waits: whoever hands over before that did not let its lease run out.
LASTING = 30


async def test_resigning_hands_over_at_once(etcd: Etcd) -> None:
    one, other = elector(etcd, "one", ElectionTiming(ttl=LASTING)), elector(etcd, "other")
    turns, others = Turns(), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        async with running(other, others):
            await two_candidates(etcd)
            await one.resign()
            second = await others.next_term()
            assert second.number > first.number
            assert not first.is_trusted()
            assert turns.over.qsize() == 1
            assert not one.is_leader


async def test_failed_work_resigns_rests_and_stands_again(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        turns.fail.set()
        second = await turns.next_term()
        assert second.number > first.number
        assert not first.is_trusted()


async def test_work_that_ends_hands_over(etcd: Etcd) -> None:
    one = elector(etcd, "one", ElectionTiming(ttl=LASTING, rest=(60.0, 60.0)))
    turns, others = Turns(), Turns()
    async with running(one, turns):
        await turns.next_term()
        async with running(elector(etcd, "other"), others):
            await two_candidates(etcd)
            turns.fail.set()
            await others.next_term()


async def test_a_leader_whose_key_is_deleted_stops_and_stands_again(etcd: Etcd) -> None:
    one, turns = elector(etcd, "one"), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        (item,) = (await etcd.kv.get_prefix(etcd.keys.election)).items
        await etcd.kv.delete(item.key)
        assert await turns.next_end() is first
        assert (await turns.next_term()).number > first.number


@pytest.mark.parametrize("ttl", [2, 5])
async def test_a_leader_stops_in_time_when_etcd_dies_and_returns_with_it(own_stage: Stage, ttl: int) -> None:
    one, turns = elector(own_stage.etcd, "one", ElectionTiming(ttl=ttl, margin=1.0)), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        await own_stage.crash()
        died_at = time.monotonic()
        assert await turns.next_end() is first
        assert time.monotonic() - died_at < ttl - 1.0 + 0.5
        assert not first.is_trusted()
        await own_stage.restart()
        # Sooner than the old key would expire, which etcd gives a new TTL when it starts.
        assert (await turns.next_term(4.0)).number > first.number


async def test_a_leader_goes_on_through_a_quick_restart_of_etcd(own_stage: Stage) -> None:
    one, turns = elector(own_stage.etcd, "one", ElectionTiming(ttl=10, margin=1.0)), Turns()
    async with running(one, turns):
        term = await turns.next_term()
        await own_stage.crash()
        await own_stage.restart()
        until = term.trusted_until
        await asyncio.wait({asyncio.ensure_future(turns.over.get())}, timeout=5.0)
        assert term.is_trusted()
        assert term.trusted_until > until
        assert one.leader is not None
        assert one.leader.term == term.number


async def test_an_elector_waits_for_an_etcd_that_is_not_there_yet(own_stage: Stage) -> None:
    await own_stage.crash()
    turns = Turns()
    async with running(elector(own_stage.etcd, "early"), turns):
        await own_stage.restart()
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

    one = elector(etcd, "one", ElectionTiming(ttl=LASTING, stop_grace=0.1))
    task = asyncio.ensure_future(one.run(stubborn))
    term = await started.get()
    (item,) = (await etcd.kv.get_prefix(etcd.keys.election)).items
    async with running(elector(etcd, "other"), turns := Turns()):
        await two_candidates(etcd)
        await etcd.kv.delete(item.key)
        await turns.next_term()
        assert not term.is_trusted()
        assert started.empty()
        assert len((await etcd.kv.get_prefix(etcd.keys.election)).items) == 1
        release.set()
        await two_candidates(etcd)
        await one.resign()
        await task


async def test_an_etcd_whose_revisions_begin_anew_elects_within_ten_seconds(
    own_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(40):
        await own_stage.etcd.kv.put("/elsewhere", b"%d" % number)
    one, turns = elector(own_stage.etcd, "one", ElectionTiming(ttl=2, margin=0.5)), Turns()
    other, others = elector(own_stage.another(), "other", ElectionTiming(ttl=2, margin=0.5)), Turns()
    async with running(one, turns):
        first = await turns.next_term()
        async with running(other, others):
            await two_candidates(own_stage.etcd)
            await own_stage.replace()
            replaced_at = time.monotonic()
            waiting = {asyncio.ensure_future(either.terms.get()) for either in (turns, others)}
            done, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in late:
                task.cancel()
            assert time.monotonic() - replaced_at < 10.0
            second = done.pop().result()
            assert second.revision < first.revision
            assert await second.confirmed()
            assert not await first.confirmed()
            # Nobody stands again and again, each time writing to etcd.
            begun_at = (await own_stage.etcd.kv.get_prefix("/")).revision
            assert begun_at < 20
    assert any("replaced or restored" in record.getMessage() for record in caplog.records)


async def test_a_number_that_is_not_the_revision_is_told(etcd: Etcd) -> None:
    begun = asyncio.Event()

    async def lead(term: Term) -> None:
        term.begin(5001)
        begun.set()
        await asyncio.Event().wait()

    one = elector(etcd, "one")
    task = asyncio.ensure_future(one.run(lead))
    async with asyncio.timeout(10):
        assert (await until_led(one, by="one", term=5001)).term == 5001
        assert begun.is_set()
        await one.resign()
        await task


async def test_turns_that_end_at_once_are_spaced(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    one, turns = elector(etcd, "one"), 0

    async def run_once(work: object) -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(one, "run_once", run_once)
    task = asyncio.ensure_future(one.run(Turns().lead))
    await asyncio.wait({task}, timeout=1.0)
    await one.resign()
    await task
    assert turns < 15
