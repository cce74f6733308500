"""Redis is wiped, killed or frozen: it holds only hints, so tasks go on."""

import signal
import time

from redis.asyncio import Redis

from taskyard import TaskHandle, TaskRequest
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.late_worker import SELECTOR, late_worker
from tests.e2e.load import Load, steady_load
from tests.e2e.own_stores import OwnStores, end, frozen, passed, start_again

QUEUED = 50_000
DOWN = 20.0
FROZEN = 8.0
SETTLES = 30.0


async def test_a_wipe_loses_none_of_the_queued_and_runs_none_twice(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    await cluster.whole()
    outcomes = await cluster.client.submit_many([TaskRequest("demo.noop", selector=SELECTOR)] * QUEUED)
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
    assert len(ids) == QUEUED

    async with Redis.from_url(stores.redis.url) as redis:
        await redis.flushall()
    async with late_worker(cluster):
        began = time.monotonic()

        async def one_ran() -> bool:
            return (await cluster.records.states(ids)).get("SUCCEEDED", 0) > 0

        await eventually(one_ran, within=15, every=0.1)
        figure("wiped until the first ran, with the worker's start (s)", time.monotonic() - began)
        await eventually(lambda: cluster.records.all_ended(ids), within=90, every=0.5)
        figure(f"wiped until all {QUEUED} had run (s)", time.monotonic() - began)
    assert await cluster.records.not_once(ids) == []
    await eventually(lambda: is_empty(stores), within=SETTLES)


async def is_empty(stores: OwnStores) -> bool:
    """Whether no lane holds an entry, nor a consumer one that was not dealt with."""
    async with Redis.from_url(stores.redis.url) as redis:
        lengths = [await redis.xlen(key) async for key in redis.scan_iter(_type="stream")]
    return not any(lengths)


async def check_outage(cluster: DevCluster, load: Load, began: float, seconds: float) -> list[str]:
    """During an outage submits are accepted and their tasks end; returns those tasks, after so many seconds."""
    await eventually(lambda: passed(began + seconds), within=seconds + 1)
    submitted = load.between(began + 1, time.monotonic() - 1)
    assert len(submitted) > 100
    await eventually(lambda: cluster.records.all_ended(submitted), within=5)
    assert not load.refusals
    return submitted


async def lanes_are_used(cluster: DevCluster, stores: OwnStores) -> None:
    """Waits until dispatchers read the lanes again."""

    async def entries_read() -> int:
        async with Redis.from_url(stores.redis.url) as redis:
            streams = [key async for key in redis.scan_iter(_type="stream")]
            groups = [group for key in streams for group in await redis.xinfo_groups(key)]
        return sum(group["entries-read"] or 0 for group in groups)

    before = await entries_read()

    async def taken() -> bool:
        await (await cluster.client.submit("demo.echo", 2)).result(timeout=10)
        return await entries_read() > before

    await eventually(taken, within=SETTLES)


async def check_aftermath(cluster: DevCluster, stores: OwnStores, load: Load) -> None:
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    assert await cluster.records.not_once(load.ids) == []
    await eventually(lambda: is_empty(stores), within=SETTLES)


async def test_tasks_go_on_while_redis_is_down(cluster: DevCluster, stores: OwnStores, figure: Figure) -> None:
    await cluster.whole()
    async with steady_load(cluster.client) as load:
        await eventually(lambda: enough(load, 50), within=10)
        since = await cluster.records.now()
        began = time.monotonic()
        await end(stores.redis, signal.SIGKILL)
        during = await check_outage(cluster, load, began, DOWN)
        until = await cluster.records.now()
        await start_again(stores.redis)
        figure("Redis was away for (s)", time.monotonic() - began)
        await lanes_are_used(cluster, stores)
    figure("tasks submitted and ended while Redis was down", len(during))
    pause = await cluster.records.longest_pause(load.ids, since, until)
    figure("longest pause between endings (s)", pause)
    assert pause < 3
    await check_aftermath(cluster, stores, load)


async def test_tasks_go_on_while_redis_hangs(cluster: DevCluster, stores: OwnStores, figure: Figure) -> None:
    await cluster.whole()
    async with steady_load(cluster.client) as load:
        await eventually(lambda: enough(load, 50), within=10)
        since = await cluster.records.now()
        began = time.monotonic()
        async with frozen(stores.redis):
            during = await check_outage(cluster, load, began, FROZEN)
            until = await cluster.records.now()
        figure("Redis was frozen for (s)", time.monotonic() - began)
        await lanes_are_used(cluster, stores)
    figure("tasks submitted and ended while Redis was frozen", len(during))
    pause = await cluster.records.longest_pause(load.ids, since, until)
    figure("longest pause between endings (s)", pause)
    assert pause < 6
    await check_aftermath(cluster, stores, load)


async def enough(load: Load, count: int) -> bool:
    return len(load.ids) >= count
