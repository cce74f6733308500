"""etcd is killed: dispatch goes on, sessions live on, and leadership comes back with it."""

import signal
import time

from taskyard import TaskHandle, TaskRequest
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.load import steady_load
from tests.e2e.long_tasks import LongTasks
from tests.e2e.own_stores import OwnStores, end, passed, start_again

OUTAGE = 8.0
LEADS_AGAIN = 10.0
LONGEST_PAUSE = 1.5
SETTLES = 30.0


async def test_dispatch_goes_on_without_etcd(cluster: DevCluster, stores: OwnStores, figure: Figure) -> None:
    await cluster.whole()
    sessions = {worker["session_id"] for worker in (await cluster.workers()).values()}
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=20, seconds=OUTAGE + 15)
        outcomes = await cluster.client.submit_many([TaskRequest("demo.echo", 1, delay=n / 5) for n in range(75)])
        delayed = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
        since = await cluster.records.now()
        await end(stores.etcd, signal.SIGKILL)
        killed = time.monotonic()
        await eventually(lambda: passed(killed + OUTAGE), within=OUTAGE + 1)
        await start_again(stores.etcd)
        back = time.monotonic()
        figure("etcd was away for (s)", back - killed)
        await eventually(cluster.leader, within=LEADS_AGAIN)
        figure("etcd back until somebody led (s)", time.monotonic() - back)
        await eventually(lambda: cluster.records.all_ended(delayed), within=LEADS_AGAIN)
        figure("etcd back until delayed tasks had run (s)", time.monotonic() - back)
        await long.ended(within=SETTLES)
        until = await cluster.records.now()
    assert {worker["session_id"] for worker in (await cluster.workers()).values()} == sessions
    await cluster.whole()
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    pause = await cluster.records.longest_pause(load.ids, since, until)
    figure("longest pause between endings (s)", pause)
    assert pause < LONGEST_PAUSE
    assert not load.refusals
    assert await cluster.records.not_once([*load.ids, *long.ids, *delayed]) == []
