"""The rota: all duties for one term, and nothing under a term that is over."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from taskyard_core.storage.etcd.records import Candidate
from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.transaction import Transaction
from taskyard_dispatcher.duties import Keeping, Rota, rota
from taskyard_dispatcher.duties.duty import Duty
from taskyard_dispatcher.duties.outbox import OutboxDuty
from taskyard_dispatcher.duties.passage import Expiry, Promotion
from taskyard_dispatcher.duties.rebuild import Rebuild
from taskyard_dispatcher.duties.retention import Retention
from taskyard_dispatcher.leadership import Elector
from taskyard_dispatcher.outcomes.loss import Loss
from tests.integration.duties.conftest import Stores, trusted

PAST = "now() - interval '1 s'"
KEEPING = Keeping(60.0, 60.0)


class NoLoss(Loss):
    """No session is expected to be lost."""

    async def lose_within(self, transaction: Transaction, session: str, generation: int, reason: str) -> None:
        raise AssertionError(f"{session} given up")


def all_duties(stores: Stores, name: str) -> Rota:
    return rota(
        name,
        store=stores.store,
        etcd=stores.etcd,
        lanes=stores.lanes,
        epoch=stores.epoch,
        loss=NoLoss(stores.store, stores.aftermath),
        aftermath=stores.aftermath,
        clock=stores.clock,
        keeping=KEEPING,
    )


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_queued(stores: Stores, count: int) -> None:
    async with asyncio.timeout(20):
        while await stores.count("QUEUED") != count:
            continue


async def until_full(stores: Stores) -> float:
    """Seconds until all tasks are in the lanes."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while await stores.fence.lane_epoch() != await stores.epoch.current() or await stores.epoch.current() is None:
            continue
    return time.monotonic() - began


def duties(stores: Stores) -> list[Duty]:
    return [
        Promotion(stores.fenced, stores.tasks, stores.aftermath),
        Expiry(stores.fenced, stores.tasks, stores.aftermath),
        OutboxDuty(stores.fenced, stores.queued, stores.lanes),
        Rebuild(stores.fenced, stores.filled()),
        Retention(stores.fenced, stores.tasks, stores.clock, KEEPING),
    ]


async def add_work(stores: Stores) -> None:
    """Something for each duty to do."""
    await stores.add(5, "SCHEDULED", run_at=PAST)
    await stores.add(5, expires_at=PAST)
    await stores.database.fetch(
        "INSERT INTO taskyard.outbox (task_ids, created_at)"
        " SELECT array_agg(id), now() - interval '1 min' FROM taskyard.task WHERE state = 'QUEUED'"
    )
    await stores.database.fetch(
        "INSERT INTO taskyard.task (id, namespace, queue, type, state, payload, finished_at)"
        " VALUES ('01900000-0000-7000-8000-000000000000', 'default', 'q', 't', 'CANCELLED', 'null',"
        " now() - interval '1 h')"
    )


async def everything(stores: Stores) -> list[object]:
    return [
        await stores.database.fetch(f"SELECT * FROM taskyard.{table} ORDER BY 1")
        for table in ("task", "outbox", "attempt", "session", "leader")
    ]


@pytest.mark.parametrize("number", range(5))
async def test_a_stale_term_changes_nothing(stores: Stores, number: int) -> None:
    stale = await stores.lead(10)
    await stores.lead(11)
    await add_work(stores)
    before = await everything(stores)
    with pytest.raises(TermOver):
        await duties(stores)[number].run_once(stale)
    await stores.publication.close()
    assert await everything(stores) == before
    assert await stores.redis.dbsize() == 0


@pytest.mark.parametrize("number", range(5))
async def test_the_same_work_is_done_under_the_current_term(stores: Stores, number: int) -> None:
    term = await stores.lead(11)
    await add_work(stores)
    before = await everything(stores)
    await duties(stores)[number].run_once(term)
    await stores.publication.close()
    assert await everything(stores) != before


async def test_all_duties_run_until_the_leader_is_cancelled(stores: Stores) -> None:
    await stores.add(2500, "SCHEDULED", run_at=PAST)
    async with background(all_duties(stores, "d").run(trusted(3))) as work:
        await until_queued(stores, 2500)
        await until_full(stores)
        assert not work.done()
    assert work.cancelled()
    assert await stores.value("SELECT term FROM taskyard.leader") == 3


async def test_a_leader_that_was_overtaken_stops(stores: Stores) -> None:
    async with background(all_duties(stores, "old").run(trusted(3))) as old:
        await until_full(stores)
        async with background(all_duties(stores, "new").run(trusted(4))) as new:
            async with asyncio.timeout(20):
                while not old.done():
                    await stores.add(1, "SCHEDULED", run_at=PAST)
            assert isinstance(old.exception(), TermOver)
            await until_queued(stores, await stores.value("SELECT count(*) FROM taskyard.task"))
            assert not new.done()
    assert await stores.value("SELECT term FROM taskyard.leader") == 4


async def test_a_leader_that_comes_too_late_does_not_begin(stores: Stores) -> None:
    await stores.lead(9)
    with pytest.raises(TermOver):
        await all_duties(stores, "late").run(trusted(8))


async def test_an_elected_dispatcher_does_the_duties(stores: Stores) -> None:
    await stores.add(10, "SCHEDULED", run_at=PAST)
    elector = Elector(stores.etcd, Candidate(dispatcher_id="d", pid=1, pod="p", address="a:1"))
    async with background(elector.run(all_duties(stores, "d").run)):
        await until_queued(stores, 10)
        assert elector.is_leader
        assert await stores.value("SELECT term FROM taskyard.leader") == elector.leading
        await elector.resign()


async def test_a_hundred_thousand_tasks_are_back_within_ten_seconds(stores: Stores) -> None:
    for lane in range(20):
        await stores.add(5000, queue=f"q{lane % 4}", priority=lane % 5)
    async with background(all_duties(stores, "d").run(trusted(3))):
        await until_full(stores)
        await stores.redis.flushall()
        began = time.monotonic()
        async with asyncio.timeout(10):
            while not await all_names(stores.lanes):
                continue
        first = time.monotonic() - began
        await until_full(stores)
        took = time.monotonic() - began
    assert len(await stores.published()) == 100_000
    assert first < 2, f"first after {first:.1f} s"
    assert took < 10, f"all after {took:.1f} s"
    print(f"first after {first:.2f} s, all after {took:.2f} s")
