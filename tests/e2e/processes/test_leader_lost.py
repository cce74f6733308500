"""The leader is killed, asked to stop, or stopped and woken: duties move on, and nothing else notices."""

import os
import signal
import time

import pytest

from taskyard import TaskHandle, TaskRequest
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.leader import LeaderFence
from taskyard_core.storage.term import TermOver
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster, Json
from tests.e2e.eventually import eventually
from tests.e2e.load import steady_load
from tests.e2e.long_tasks import LongTasks
from tests.e2e.own_stores import passed

NEXT_AFTER_KILL = 7.0
NEXT_AFTER_SIGTERM = 1.0
LONGEST_PAUSE = 1.5
SETTLES = 30.0

WITNESS = """
CREATE TABLE IF NOT EXISTS public.duty_write (
    application text, state text, transaction bigint, at timestamptz DEFAULT clock_timestamp()
);
TRUNCATE public.duty_write;
CREATE OR REPLACE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('application_name') LIKE '%-duties' THEN
        INSERT INTO public.duty_write VALUES (current_setting('application_name'), NEW.state, txid_current());
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER witness AFTER UPDATE ON taskyard.task FOR EACH ROW EXECUTE FUNCTION public.witness();
"""


async def current_leader(cluster: DevCluster) -> Json:
    await cluster.whole()
    return await eventually(cluster.leader, within=5)


async def next_leader(cluster: DevCluster, former: Json, within: float) -> Json:
    async def other() -> Json | None:
        leader = await cluster.leader()
        return leader if leader and leader["term"] > former["term"] else None

    return await eventually(other, within=within, every=0.01)


async def submit_delayed(cluster: DevCluster, delays: list[float]) -> list[str]:
    requests = [TaskRequest("demo.echo", delay, delay=delay) for delay in delays]
    outcomes = await cluster.client.submit_many(requests)
    return [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]


async def test_dispatch_goes_on_while_a_leader_is_elected(cluster: DevCluster, figure: Figure) -> None:
    former = await current_leader(cluster)
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=50, seconds=8)
        delayed = await submit_delayed(cluster, [0.5 + number / 10 for number in range(50)])
        since = await cluster.records.now()
        cluster.signal(former["pod"], signal.SIGKILL)
        killed = time.monotonic()
        await next_leader(cluster, former, within=NEXT_AFTER_KILL)
        figure("leader killed until the next (s)", time.monotonic() - killed)
        until = await cluster.records.now()
        await long.ended(within=SETTLES)
    await eventually(lambda: cluster.records.all_ended([*load.ids, *delayed]), within=SETTLES)
    pause = await cluster.records.longest_pause(load.ids, since, until)
    figure("longest pause between endings meanwhile (s)", pause)
    assert pause < LONGEST_PAUSE
    assert not load.refusals
    assert await cluster.records.not_once([*long.ids, *load.ids, *delayed]) == []


async def test_a_leader_that_is_asked_to_stop_hands_over_at_once(cluster: DevCluster, figure: Figure) -> None:
    former = await current_leader(cluster)
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=50, seconds=3)
        cluster.signal(former["pod"], signal.SIGTERM)
        asked = time.monotonic()
        await next_leader(cluster, former, within=NEXT_AFTER_SIGTERM)
        figure("leader asked to stop until the next (s)", time.monotonic() - asked)
        await long.ended(within=SETTLES)
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    assert not load.refusals
    assert await cluster.records.not_once([*long.ids, *load.ids]) == []


@pytest.mark.slow
@pytest.mark.parametrize("stopped_for", [30])
async def test_a_leader_that_slept_commits_nothing(cluster: DevCluster, figure: Figure, stopped_for: int) -> None:
    former = await current_leader(cluster)
    await cluster.records.execute(WITNESS)
    # Due all the time, also right after it wakes: there is always something that a leader would do.
    delayed = await submit_delayed(cluster, [number / 10 for number in range(10 * (stopped_for + 5))])
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=50, seconds=stopped_for)
        stopped = time.monotonic()
        pid = cluster.signal(former["pod"], signal.SIGSTOP)
        try:
            following = await next_leader(cluster, former, within=NEXT_AFTER_KILL + 1)
            figure("leader stopped until the next (s)", time.monotonic() - stopped)
            await eventually(lambda: promotes(cluster, following), within=5)
            taken_over = await cluster.records.now()
            await eventually(lambda: passed(stopped + stopped_for), within=stopped_for + 1)
        finally:
            os.kill(pid, signal.SIGCONT)

        await eventually(lambda: cluster.records.all_ended(delayed), within=SETTLES)
        await long.ended(within=SETTLES)
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    await cluster.whole()
    assert cluster.pid(former["pod"]) == pid
    assert await cluster.leader() == following
    assert await duty_writes(cluster, former, taken_over) == 0
    figure("writes of the next leader's duties", await duty_writes(cluster, following, taken_over))
    assert [tuple(row) for row in await cluster.records.fetch("SELECT term, dispatcher FROM taskyard.leader")] == [
        (following["term"], following["id"])
    ]
    await check_fence(cluster, former["term"])
    assert await cluster.records.not_once([*long.ids, *load.ids, *delayed]) == []


async def promotes(cluster: DevCluster, leader: Json) -> bool:
    query = "SELECT 1 FROM public.duty_write WHERE application = $1 LIMIT 1"
    return bool(await cluster.records.fetch(query, f"{leader['id']}-duties"))


async def duty_writes(cluster: DevCluster, leader: Json, since: object) -> int:
    query = "SELECT count(*) FROM public.duty_write WHERE application = $1 AND at > $2"
    count: int = (await cluster.records.fetch(query, f"{leader['id']}-duties", since))[0][0]
    return count


async def check_fence(cluster: DevCluster, old_term: int) -> None:
    """What a duty of the old term would do is refused before it begins."""
    database = await Database.open(cluster.addresses("postgres")["url"], connections=1)
    try:
        with pytest.raises(TermOver):
            async with LeaderFence(database).duty(old_term):
                pytest.fail("a duty of an old term began")
    finally:
        await database.close()
