"""Who asks for the backlog shares counts, and its metric has a bounded number of series."""

import asyncio
from collections.abc import Sequence
from typing import cast

from taskyard_core.domain.demand import Demand, LaneLoad
from taskyard_core.storage.queues import StoredQueues
from taskyard_core.telemetry.backlog_series import BacklogSeries
from taskyard_core.telemetry.gauges import BacklogReading
from taskyard_scheduler.api.backlogs import FRESH_SECONDS, Backlogs, pool

POOL = pool("", {}, (), ())


class Time:
    """A clock that counting moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


class Counts:
    """A store whose n-th count finds n tasks and takes a while."""

    def __init__(self, time: Time, takes: float) -> None:
        self.made = 0
        self._time = time
        self._takes = takes

    async def loads(self, most: int) -> Sequence[LaneLoad]:
        self.made += 1
        self._time.now += self._takes
        await asyncio.sleep(0)
        return [LaneLoad("default/q/t/5/", self.made)]


async def test_one_count_serves_all_who_ask_about_the_same_time() -> None:
    time = Time()
    counts = Counts(time, takes=0.01)
    backlogs = Backlogs(cast("StoredQueues", counts), time)
    assert await asyncio.gather(*(backlogs.of(POOL) for _ in range(10))) == [Demand(1, 0)] * 10
    time.now += FRESH_SECONDS
    assert await backlogs.of(POOL) == Demand(2, 0)
    assert counts.made == 2


async def test_counts_that_take_long_are_made_less_often() -> None:
    time = Time()
    counts = Counts(time, takes=0.5)
    backlogs = Backlogs(cast("StoredQueues", counts), time)
    for _ in range(30):
        await backlogs.of(POOL)
        time.now += FRESH_SECONDS
    assert counts.made == 3


def test_a_series_stays_at_zero_and_every_queue_has_one() -> None:
    series = BacklogSeries()
    assert series.show([("n", "q")], {("n", "q", "io=ssd"): 3}) == [
        BacklogReading("n", "q", "io=ssd", 3),
        BacklogReading("n", "q", "", 0),
    ]
    assert {reading.tasks for reading in series.show([], {})} == {0}


def test_selectors_beyond_the_limit_share_a_series() -> None:
    series = BacklogSeries(limit=2)
    waiting = {("n", "q", f"host={number}"): 1 for number in range(5)}
    shown = series.show([("n", "idle")], waiting)
    assert shown[2:] == [BacklogReading("other", "other", "other", 3)]
    later = series.show([], {("n", "q", "new"): 7, ("n", "q", "host=0"): 2})
    assert later == [BacklogReading("n", "q", "host=0", 2), BacklogReading("n", "q", "new", 7)]
