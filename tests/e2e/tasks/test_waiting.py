"""Tasks that wait: for a moment, for a worker that fits, for their turn."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from taskyard import (
    AttemptOutcome,
    RetryPolicy,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskHandle,
    TaskRequest,
    TaskState,
)
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.late_worker import SELECTOR, late_worker
from tests.e2e.long_tasks import LongTasks

LATE = 1.5


def handles_of(outcomes: list[object]) -> list[TaskHandle]:
    return [outcome for outcome in outcomes if isinstance(outcome, TaskHandle)]


async def test_a_waiting_task_is_cancelled_at_once(cluster: DevCluster) -> None:
    scheduled = await cluster.client.submit("demo.echo", 1, delay=600)
    queued = await cluster.client.submit("demo.echo", 1, selector="nobody=has-this")
    for handle in (scheduled, queued):
        assert (await cluster.client.cancel(handle.id)).state is TaskState.CANCELLED
        with pytest.raises(TaskCancelled):
            await handle.result(timeout=5)
        assert (await handle.get()).attempt == 0


async def test_a_running_task_stops_when_it_is_cancelled(cluster: DevCluster, figure: Figure) -> None:
    long = await LongTasks.start(cluster.client, count=1, seconds=60)
    began = time.monotonic()
    await cluster.client.cancel(long.ids[0])
    with pytest.raises(TaskCancelled):
        await cluster.client.result(long.ids[0], timeout=10)
    took = time.monotonic() - began
    figure("running task cancelled within (s)", took)
    assert took < 3
    runs = await cluster.client.attempts(long.ids[0])
    assert [run.outcome for run in runs] == [AttemptOutcome.CANCELLED]


async def test_an_attempt_ends_with_its_timeout(cluster: DevCluster) -> None:
    handle = await cluster.client.submit(
        "demo.sleep", {"seconds": 30}, timeout=1, retry=RetryPolicy(max_attempts=2, initial_backoff=0.1)
    )
    with pytest.raises(TaskFailed) as failure:
        await handle.result(timeout=10)
    assert failure.value.error is not None
    assert failure.value.error.type == "TIMEOUT"
    runs = await cluster.client.attempts(handle.id)
    assert [run.outcome for run in runs] == [AttemptOutcome.TIMED_OUT] * 2
    for run in runs:
        assert run.started_at is not None
        assert run.finished_at is not None
        assert timedelta(seconds=1) <= run.finished_at - run.started_at < timedelta(seconds=1 + LATE)


async def test_a_task_that_does_not_start_in_time_expires(cluster: DevCluster) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=1)
    handle = await cluster.client.submit("demo.echo", 1, selector="nobody=has-this", expires_at=expires)
    with pytest.raises(TaskExpired):
        await handle.result(timeout=10)
    task = await handle.get()
    assert task.attempt == 0
    assert task.finished_at is not None
    assert expires <= task.finished_at < expires + timedelta(seconds=LATE)


async def test_a_delayed_task_never_starts_early(cluster: DevCluster, figure: Figure) -> None:
    requests = [TaskRequest("demo.echo", number, delay=0.3 + number / 20) for number in range(60)]
    handles = handles_of(list(await cluster.client.submit_many(requests)))
    latest = 0.0
    for handle in handles:
        await handle.result(timeout=20)
        task = await handle.get()
        assert task.started_at is not None
        assert task.run_at is not None
        assert task.started_at >= task.run_at
        latest = max(latest, (task.started_at - task.run_at).total_seconds())
    figure("latest start after a task was due (s)", latest)
    assert latest < LATE


async def test_every_priority_makes_progress(cluster: DevCluster, figure: Figure) -> None:
    """Far more waits than there are slots: the highest priority goes first, the lowest not only when all is done."""
    requests = [TaskRequest("demo.sleep", {"seconds": 0.1}, priority=n % 11, queue="prio") for n in range(1100)]
    handles = handles_of(list(await cluster.client.submit_many(requests)))
    ids = [handle.id for handle in handles]
    await eventually(lambda: cluster.records.all_ended(ids), within=60, every=0.2)
    rows = await cluster.records.fetch(
        "SELECT priority, avg(place)::float8, min(place) FROM (SELECT priority, row_number() OVER (ORDER BY started_at)"
        " AS place FROM taskyard.task WHERE id = ANY ($1::uuid[])) AS started GROUP BY 1 ORDER BY 1",
        ids,
    )
    places = [row[1] for row in rows]
    assert places[10] < places[5] < places[0]
    first_of_lowest = rows[0][2]
    figure("place of the first task of priority 0 among 1100", first_of_lowest)
    assert first_of_lowest < 550


async def test_selectors_choose_the_worker(cluster: DevCluster) -> None:
    await cluster.whole()
    picky = [TaskRequest("demo.echo", number, selector="io=ssd") for number in range(50)]
    handles = handles_of(list(await cluster.client.submit_many(picky)))
    for handle in handles:
        await handle.result(timeout=20)
        assert (await handle.get()).worker == "worker-3"
    homeless = await cluster.client.submit("demo.echo", 1, selector=SELECTOR)
    other = await cluster.client.submit("demo.echo", 2)
    await other.result(timeout=10)
    assert (await homeless.get()).state is TaskState.QUEUED
    async with late_worker(cluster):
        await homeless.result(timeout=10)
    assert (await homeless.get()).worker == "late"
