"""Failures, crashes and dead letters, through real workers."""

import time
from itertools import pairwise

import pytest

from taskyard import AttemptOutcome, RetryPolicy, TaskFailed, TaskFilter, TaskHandle, TaskRequest, TaskState
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually

LATE = 1.0


async def failed(handle: TaskHandle, within: float = 20) -> TaskFailed:
    with pytest.raises(TaskFailed) as failure:
        await handle.result(timeout=within)
    return failure.value


async def test_retries_wait_longer_each_time_and_end_in_success(cluster: DevCluster, figure: Figure) -> None:
    retry = RetryPolicy(max_attempts=5, initial_backoff=0.4, multiplier=2, jitter=0)
    handle = await cluster.client.submit("demo.flaky", {"failures": 3}, retry=retry)
    assert await handle.result(timeout=20) == 3
    task = await handle.get()
    assert (task.attempt, task.failures, task.crashes) == (4, 3, 0)
    runs = await cluster.client.attempts(handle.id)
    assert [run.outcome for run in runs] == [AttemptOutcome.FAILED] * 3 + [AttemptOutcome.SUCCEEDED]
    for (before, after), backoff in zip(pairwise(runs), (0.4, 0.8, 1.6), strict=True):
        assert before.finished_at is not None
        assert after.started_at is not None
        waited = (after.started_at - before.finished_at).total_seconds()
        figure(f"waited before a retry due after {backoff} s (s)", waited)
        assert backoff <= waited < backoff + LATE


async def test_spent_retries_and_hopeless_errors_end_as_dead_letters(cluster: DevCluster) -> None:
    retry = RetryPolicy(max_attempts=2, initial_backoff=0.1)
    spent = await cluster.client.submit("demo.fail", {"message": "again"}, retry=retry)
    hopeless = await cluster.client.submit("demo.fail", {"message": "never", "retryable": False})
    assert "again" in str(await failed(spent))
    assert (await spent.get()).attempt == 2
    assert "never" in str(await failed(hopeless))
    assert (await hopeless.get()).attempt == 1


async def test_a_task_that_kills_its_workers_is_quarantined(cluster: DevCluster, figure: Figure) -> None:
    began = time.monotonic()
    handle = await cluster.client.submit("demo.crash", queue="crash")
    failure = await failed(handle, within=60)
    figure("crash loop until quarantine (s)", time.monotonic() - began)
    assert failure.error is not None
    assert failure.error.type == "CRASH_LOOP"
    assert (failure.task.crashes, failure.task.attempt, failure.task.failures) == (4, 4, 0)
    runs = await cluster.client.attempts(handle.id)
    assert [run.outcome for run in runs] == [AttemptOutcome.CRASHED] * 4
    await cluster.whole()


async def test_dead_letters_are_redriven_one_by_one_and_by_filter(cluster: DevCluster) -> None:
    retry = RetryPolicy(max_attempts=1)
    request = TaskRequest("demo.flaky", {"failures": 1}, queue="letters", retry=retry)
    outcomes = await cluster.client.submit_many([request] * 3)
    handles = [outcome for outcome in outcomes if isinstance(outcome, TaskHandle)]
    for handle in handles:
        await failed(handle)

    again = await cluster.client.redrive(handles[0].id)
    assert (again.failures, again.crashes) == (0, 0)
    # Its budget is fresh, so it fails as it did the first time; the attempt goes on rising, as the fencing token must.
    await failed(handles[0])
    assert (await handles[0].get()).attempt == 2

    letters = TaskFilter(queue="letters")
    dry = await cluster.client.redrive_many(letters, dry_run=True)
    assert (dry.count, set(dry.ids)) == (3, {handle.id for handle in handles})
    assert [(await handle.get()).state for handle in handles] == [TaskState.FAILED] * 3
    assert (await cluster.client.redrive_many(letters, limit=2)).count == 2

    async def all_redriven() -> bool:
        tasks = [await handle.get() for handle in handles]
        return sum(task.attempt for task in tasks) == 6 and all(task.state is TaskState.FAILED for task in tasks)

    # The first run of each, the one redriven above, and two more.
    await eventually(all_redriven, within=20)
    assert (await cluster.client.purge_many(letters)).count == 3
