"""Workers spread again over the dispatchers after one was away; what they run goes on."""

import signal
import time
from collections import Counter

from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.long_tasks import LongTasks

FULLEST = 2
"""Of four workers on three dispatchers."""


async def test_workers_come_back_to_a_dispatcher_that_is_back(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    long = await LongTasks.start(cluster.client, count=8, seconds=45)
    for name in sorted(cluster.pids("dispatcher"))[:2]:
        cluster.signal(name, signal.SIGTERM)
    began = time.monotonic()
    await cluster.whole()

    async def spread() -> bool:
        names = await cluster.dispatcher_names()
        held = Counter(worker["dispatcher"] for worker in (await cluster.workers()).values())
        return len(names) == 3 and held.total() == 4 and max(held.values()) <= FULLEST and held.keys() <= names.keys()

    await eventually(spread, within=60)
    figure("two dispatchers restarted until workers had spread (s)", time.monotonic() - began)
    await long.ended(within=60)
    assert await cluster.records.not_once(long.ids) == []
