"""Workers that block, and workers that are told to stop."""

import asyncio
import signal
import time

from taskyard import AttemptOutcome, TaskState
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.late_worker import SELECTOR, late_worker
from tests.e2e.long_tasks import LongTasks

BLOCKED = 15.0


async def test_a_blocked_event_loop_costs_neither_session_nor_attempt(cluster: DevCluster) -> None:
    await cluster.whole()
    before = await cluster.workers()
    handle = await cluster.client.submit("demo.block", {"seconds": BLOCKED})
    assert await handle.result(timeout=BLOCKED + 10) == BLOCKED
    task = await handle.get()
    assert (task.attempt, task.crashes) == (1, 0)
    after = await cluster.workers()
    assert after[task.worker]["session_id"] == before[task.worker]["session_id"]


async def test_a_worker_that_is_told_to_stop_finishes_what_it_runs(cluster: DevCluster, figure: Figure) -> None:
    await cluster.whole()
    long = await LongTasks.start(cluster.client, count=24, seconds=4)
    tasks = await long.tasks()
    cluster.signal(tasks[0].worker, signal.SIGTERM)
    held = sum(task.worker == tasks[0].worker for task in tasks)
    figure("tasks that the stopping worker had", held)
    await long.ended(within=20)
    assert await cluster.records.not_once(long.ids) == []
    # The supervisor starts it again.
    await cluster.whole()


async def test_a_worker_that_is_told_to_stop_hands_back_what_takes_too_long(
    cluster: DevCluster, figure: Figure
) -> None:
    handle = await cluster.client.submit("demo.sleep", {"seconds": 6}, selector=SELECTOR)

    async def runs() -> bool:
        return (await handle.get()).state is TaskState.RUNNING

    async with late_worker(cluster, "tests.e2e.impatient:worker") as worker:
        await eventually(runs, within=15)
        worker.terminate()
        asked = time.monotonic()
        await asyncio.wait_for(worker.wait(), 15)
        figure("worker with a grace of 1 s ended after (s)", time.monotonic() - asked)
    task = await handle.get()
    assert (task.state, task.attempt, task.crashes, task.failures) == (TaskState.QUEUED, 1, 0, 0)
    async with late_worker(cluster):
        assert await handle.result(timeout=20) == 6
    runs_made = await cluster.client.attempts(handle.id)
    assert [run.outcome for run in runs_made] == [AttemptOutcome.RELEASED, AttemptOutcome.SUCCEEDED]
