"""Rebuild and audit: the lanes hold what Postgres says, whatever happened to Redis."""

import pytest

from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.redis.epoch import LaneEpoch
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.storage.term import TermOver
from taskyard_dispatcher.duties.audit import Audit
from taskyard_dispatcher.duties.rebuild import Rebuild
from taskyard_dispatcher.timing import DutyTiming
from tests.integration.duties.conftest import Stores, trusted


def rebuild(stores: Stores, lanes: LaneStore | None = None) -> Rebuild:
    return Rebuild(stores.fenced, stores.filled(lanes=lanes))


def audit(stores: Stores, timing: DutyTiming = DutyTiming()) -> Audit:
    return Audit(stores.fenced, stores.filled(timing=timing))


async def settled(stores: Stores) -> None:
    """Let all tasks look as if they had been submitted a while ago."""
    await stores.database.fetch(
        "UPDATE taskyard.task SET run_at = run_at - interval '1 min',"
        " id = overlay(id::text placing '01900000' from 1 for 8)::uuid"
    )


async def test_twenty_thousand_tasks_are_all_published_again_after_a_flush(stores: Stores) -> None:
    for priority in (1, 5, 9):
        await stores.add(6000, priority=priority)
    for lane in range(40):
        await stores.add(50, queue=f"q{lane}")
    term, duty = await stores.lead(), rebuild(stores)
    await duty.run_once(term)
    epoch = await stores.fence.lane_epoch()
    assert epoch == await stores.epoch.current()
    await stores.redis.flushall()
    await duty.run_once(term)
    assert await stores.published() == await stores.ids("QUEUED")
    assert await stores.count("QUEUED") == 20_000
    assert await stores.fence.lane_epoch() == await stores.epoch.current() != epoch


async def test_nothing_is_published_while_the_epoch_stands(stores: Stores) -> None:
    term, duty = await stores.lead(), rebuild(stores)
    await duty.run_once(term)
    await stores.add(5)
    await duty.run_once(term)
    await rebuild(stores).run_once(term)
    assert await stores.published() == set()


class FlushingLanes(LaneStore):
    """Redis is wiped right after the first page was published."""

    flushed = False

    async def publish(self, entries: object) -> None:
        await super().publish(entries)  # type: ignore[arg-type]
        if not self.flushed:
            self.flushed = True
            await self._redis.flushall()


async def test_a_flush_in_the_middle_makes_it_begin_anew(stores: Stores) -> None:
    await stores.add(12_000)
    term = await stores.lead()
    duty = rebuild(stores, FlushingLanes(stores.redis, stores.keys))
    await duty.run_once(term)
    assert await stores.fence.lane_epoch() == ""
    await duty.run_once(term)
    assert await stores.published() == await stores.ids("QUEUED")
    assert await stores.fence.lane_epoch() == await stores.epoch.current()


class Overtaken(LaneEpoch):
    """A later leader begins its term, and an epoch, between the check of the fence and the epoch's begin."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.redis, stores.keys)
        self._stores = stores

    async def begin(self, term: int, *, regardless: bool = False) -> str:
        await self._stores.fence.begin(term + 1, "later")
        await super().begin(term + 1)
        return await super().begin(term, regardless=regardless)


async def test_an_epoch_of_a_later_leader_is_left_alone(stores: Stores) -> None:
    await stores.lead(10)
    duty = Rebuild(stores.fenced, stores.filled(epoch=Overtaken(stores)))
    with pytest.raises(TermOver):
        await duty.run_once(trusted(10))
    assert (await stores.redis.hgetall(stores.keys.epoch))[b"term"] == b"11"


async def test_a_later_term_that_only_redis_remembers_is_passed_over(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    await stores.add(10)
    term = await stores.lead(10)
    await stores.epoch.begin(5000)
    await rebuild(stores).run_once(term)
    assert await stores.fence.lane_epoch() == await stores.epoch.current()
    assert await stores.published() == await stores.ids("QUEUED")
    assert "Redis remembers a later term" in caplog.text


async def test_a_deleted_lane_is_filled_again(stores: Stores) -> None:
    await stores.add(7000, queue="a")
    await stores.add(50, queue="b")
    await settled(stores)
    term = await stores.lead()
    await rebuild(stores).run_once(term)
    await stores.redis.delete(stores.keys.lane("default/a/t/5/"))
    await audit(stores).run_once(term)
    assert await stores.published() == await stores.ids("QUEUED")
    depths = await stores.lanes.depths(["default/a/t/5/", "default/b/t/5/"])
    assert [depth.length for depth in depths.values()] == [7000, 50]


async def test_a_leader_whose_term_is_over_fills_no_lane(stores: Stores) -> None:
    await stores.add(10)
    await settled(stores)
    stale = await stores.lead(10)
    await rebuild(stores).run_once(stale)
    await stores.redis.delete(stores.keys.lane("default/q/t/5/"))
    await stores.lead(11)
    with pytest.raises(TermOver):
        await audit(stores).run_once(stale)
    assert await stores.published() == set()


async def test_what_was_queued_just_now_is_not_missed(stores: Stores) -> None:
    term = await stores.lead()
    await rebuild(stores).run_once(term)
    await stores.add(10, queue="new")
    await stores.add(10, queue="promoted")
    await settled(stores)
    await stores.database.fetch("UPDATE taskyard.task SET run_at = now()")
    await audit(stores).run_once(term)
    assert await stores.published() == set()


async def test_a_lane_goes_with_the_entries_of_tasks_that_were_cancelled(stores: Stores) -> None:
    # The age of entries is Redis' own.
    term, duty = await stores.lead(), audit(stores, DutyTiming(lane_unused=0.0))
    await rebuild(stores).run_once(term)
    await stores.lanes.publish({f"default/gone/t/5/host=h{number}": [("x", 0)] for number in range(20)})
    await duty.run_once(term)
    stores.clock.ahead += 1
    await duty.run_once(term)
    assert await all_names(stores.lanes) == set()
    assert await stores.redis.keys(f"{stores.keys.prefix}:*gone*") == []


async def test_a_lane_long_empty_is_swept_and_no_other(stores: Stores) -> None:
    term, duty = await stores.lead(), audit(stores)
    await rebuild(stores).run_once(term)
    await stores.add(1, queue="busy")
    await stores.lanes.publish(
        {"default/busy/t/5/": [], "default/idle/t/5/": [("x", 0)], "default/used/t/5/": [("y", 0)]}
    )
    await stores.redis.xtrim(stores.keys.lane("default/idle/t/5/"), maxlen=0, approximate=False)
    await duty.run_once(term)
    stores.clock.ahead += DutyTiming.lane_unused + 1
    await duty.run_once(term)
    assert await all_names(stores.lanes) == {"default/used/t/5/"}
    assert not await stores.redis.exists(stores.keys.lane("default/idle/t/5/"))
