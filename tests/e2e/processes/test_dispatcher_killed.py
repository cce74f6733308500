"""A dispatcher is killed under load: its workers carry on elsewhere, and what they run is not run again."""

import signal
import time

from taskyard import TaskState
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.load import steady_load
from tests.e2e.long_tasks import LongTasks

CARRIES_ON = 3.0
SETTLES = 30.0


async def follower_with_workers(cluster: DevCluster) -> str | None:
    """Id of a dispatcher that has workers, if possible not the leader's."""
    leader = await cluster.leader()
    used = {worker["dispatcher"] for worker in (await cluster.workers()).values()}
    return next(iter(sorted(used, key=lambda found: leader is not None and leader["id"] == found)), None)


async def workers_of(cluster: DevCluster, dispatcher: str) -> set[str]:
    return {name for name, worker in (await cluster.workers()).items() if worker["dispatcher"] == dispatcher}


async def test_workers_of_a_killed_dispatcher_carry_on_elsewhere(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    victim = await eventually(lambda: follower_with_workers(cluster), within=5)
    async with steady_load(cluster.client) as load:
        # So many that every worker has some.
        long = await LongTasks.start(cluster.client, count=50, seconds=6)
        orphans = await workers_of(cluster, victim)
        held = [task.id for task in await long.tasks() if task.worker in orphans and task.state is TaskState.RUNNING]
        assert held, (victim, orphans, [(task.worker, task.state) for task in await long.tasks()])

        cluster.signal((await cluster.dispatcher_names())[victim], signal.SIGKILL)
        killed = time.monotonic()

        async def all_moved() -> bool:
            found = await cluster.workers()
            return all(found[name]["dispatcher"] != victim for name in orphans)

        await eventually(all_moved, within=CARRIES_ON, every=0.02)
        figure(f"dispatcher killed until its {len(orphans)} workers had moved (s)", time.monotonic() - killed)
        await long.ended(within=SETTLES)

    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    figure("tasks under way on its workers, none run again", len(held))
    figure("short tasks submitted meanwhile", len(load.ids))
    assert not load.refusals
    assert await cluster.records.not_once([*long.ids, *load.ids]) == []


async def test_workers_of_a_stopping_dispatcher_carry_on_elsewhere(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    victim = await eventually(lambda: follower_with_workers(cluster), within=5)
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=50, seconds=4)
        orphans = await workers_of(cluster, victim)
        cluster.signal((await cluster.dispatcher_names())[victim], signal.SIGTERM)
        asked = time.monotonic()

        async def all_moved() -> bool:
            return not await workers_of(cluster, victim)

        await eventually(all_moved, within=CARRIES_ON, every=0.02)
        figure(f"dispatcher asked to stop until its {len(orphans)} workers had moved (s)", time.monotonic() - asked)
        await long.ended(within=SETTLES)
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    assert await cluster.records.not_once([*long.ids, *load.ids]) == []
