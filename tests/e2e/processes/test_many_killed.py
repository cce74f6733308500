"""More than one part is killed at once, or the part that clients talk to."""

import signal
import time

from taskyard import TaskState
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.load import steady_load
from tests.e2e.long_tasks import LongTasks

SETTLES = 30.0
LEASE = 10.0
RUNS_AGAIN = 2 * LEASE
"""A worker whose dispatcher died with it is missed once its registration has expired, and the leader is sure of it."""


async def test_all_dispatchers_are_killed_at_once(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=50, seconds=6)
        since = await cluster.records.now()
        for name in cluster.pids("dispatcher"):
            cluster.signal(name, signal.SIGKILL)
        killed = time.monotonic()
        await cluster.whole()
        figure("all dispatchers killed until all parts were back (s)", time.monotonic() - killed)
        until = await cluster.records.now()
        await long.ended(within=SETTLES)
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    figure("longest pause between endings (s)", await cluster.records.longest_pause(load.ids, since, until))
    assert not load.refusals
    assert await cluster.records.not_once([*long.ids, *load.ids]) == []


async def test_the_scheduler_is_killed(cluster: DevCluster, figure: Figure) -> None:
    """What it had stored but not published yet is found in the outbox."""
    await cluster.whole()
    async with steady_load(cluster.client) as load:
        await eventually(lambda: enough(load.ids, 100), within=10)
        cluster.signal("scheduler-1", signal.SIGKILL)
        killed = time.monotonic()
        await eventually(lambda: enough(load.between(killed + 0.5, time.monotonic()), 100), within=20)
    figure("scheduler killed until submits were accepted again (s)", load.first_after(killed + 0.5) - killed)
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    assert await cluster.records.not_once(load.ids) == []


async def test_a_worker_dies_together_with_its_dispatcher(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    long = await LongTasks.start(cluster.client, count=1, seconds=8)
    worker = (await cluster.workers())[(await long.tasks())[0].worker]
    cluster.signal((await cluster.dispatcher_names())[worker["dispatcher"]], signal.SIGKILL)
    cluster.signal(worker["name"], signal.SIGKILL)
    killed = time.monotonic()

    async def runs_again() -> bool:
        task = (await long.tasks())[0]
        return (task.state, task.attempt) == (TaskState.RUNNING, 2)

    await eventually(runs_again, within=RUNS_AGAIN)
    figure("worker killed with its dispatcher until its task ran again (s)", time.monotonic() - killed)
    await long.ended(within=SETTLES)


async def enough(found: list[str], count: int) -> bool:
    return len(found) >= count
