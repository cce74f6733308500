"""Handlers run in tests as a cluster would run them, only without its waiting."""

import asyncio
import time
from typing import Any

import pytest

from taskyard import (
    AttemptOutcome,
    Context,
    NonRetryable,
    RetryPolicy,
    TaskCancelled,
    TaskFailed,
    TaskState,
    Worker,
    task,
)
from taskyard.testing import TaskRun, run_task
from taskyard.testing.policy import backoff
from taskyard_core.domain import retry as cluster
from taskyard_core.domain.task import RetryPolicy as ClusterPolicy
from tests.unit.sdk import defined_tasks as defined
from tests.unit.sdk.defined_tasks import Town

worker = Worker()
flaky = task("flaky", int, int, retry=RetryPolicy(max_attempts=4, initial_backoff=60, multiplier=3))


@worker.handles(flaky)
async def _flaky(context: Context, failures: int) -> int:
    if context.failures < failures:
        raise ConnectionError("not yet")
    return context.attempt


@worker.task("sleep")
async def _sleep(context: Context, seconds: float) -> str:
    context.progress(0.5, "asleep")
    await asyncio.sleep(seconds)
    return "awake"


@worker.task("deaf")
async def _deaf(_payload: object) -> None:
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            continue


@worker.task("thread")
def _thread(context: Context, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        context.raise_if_cancelled()
    return "done"


@worker.task("errand")
async def _errand(seconds: float) -> str:
    return await asyncio.to_thread(_spin, seconds)


@worker.task("final", non_retryable=KeyError)
async def _final(kind: str) -> None:
    raise {"non": NonRetryable("no"), "key": KeyError("no"), "exit": SystemExit(3)}[kind]


@worker.task("stops")
async def _stops(_payload: object) -> None:
    raise asyncio.CancelledError


def _spin(seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass
    return "done"


def outcomes(run: TaskRun[Any]) -> list[str]:
    return [attempt.outcome.value for attempt in run.attempts]


def test_a_handler_is_run_with_its_definition() -> None:
    run = run_task(defined.worker, defined.greet, Town("Lyon"))
    assert run.result == "Hello Lyon, from attempt 1"
    assert (run.state, outcomes(run), run.elapsed) == (TaskState.SUCCEEDED, ["SUCCEEDED"], 0)


async def test_it_also_works_where_an_event_loop_runs() -> None:
    assert run_task(worker, "sleep", 3600).result == "awake"


def test_an_hour_takes_no_time_and_is_told_as_an_hour() -> None:
    began = time.monotonic()
    run = run_task(worker, "sleep", 3600)
    assert run.elapsed == 3600
    assert time.monotonic() - began < 60
    assert [(report.fraction, report.message, report.at) for report in run.attempts[0].progress] == [(0.5, "asleep", 0)]


def test_failures_are_retried_as_the_definition_says() -> None:
    run = run_task(worker, flaky, 2)
    assert run.result == 3
    assert outcomes(run) == ["FAILED", "FAILED", "SUCCEEDED"]
    assert [attempt.started for attempt in run.attempts] == [0, 60, 60 + 180]
    assert run.attempts[0].error is not None
    assert run.attempts[0].error.type == "ConnectionError"


def test_a_budget_that_is_used_up_ends_the_task() -> None:
    run = run_task(worker, flaky, 9, retry=RetryPolicy(max_attempts=2))
    assert outcomes(run) == ["FAILED", "FAILED"]
    with pytest.raises(TaskFailed, match="not yet"):
        _ = run.result


@pytest.mark.parametrize(
    ("policy", "failures"),
    [
        (RetryPolicy(), 1),
        (RetryPolicy(), 2),
        (RetryPolicy(), 3),
        (RetryPolicy(max_attempts=100), 40),
        (RetryPolicy(max_attempts=5000), 4000),
        (RetryPolicy(max_attempts=9, initial_backoff=0.5, multiplier=1.5, max_backoff=4), 3),
    ],
)
def test_backoff_is_the_clusters(policy: RetryPolicy, failures: int) -> None:
    same = ClusterPolicy(policy.max_attempts, policy.initial_backoff, policy.multiplier, policy.max_backoff)  # type: ignore[arg-type]
    expected = None if cluster.exhausted(same, failures) else cluster.backoff(same, failures, lambda: 0.5)
    assert backoff(policy, failures) == expected


@pytest.mark.parametrize(("kind", "type"), [("non", "NonRetryable"), ("key", "KeyError")])
def test_what_is_not_retryable_is_not_retried(kind: str, type: str) -> None:
    run = run_task(worker, "final", kind)
    assert outcomes(run) == ["FAILED"]
    assert run.error is not None
    assert run.error.type == type


def test_a_handler_that_exits_ends_its_attempt_only() -> None:
    run = run_task(worker, "final", "exit", retry=RetryPolicy(max_attempts=2))
    assert outcomes(run) == ["FAILED", "FAILED"]
    assert run.error is not None
    assert run.error.type == "SystemExit"


def test_a_cancel_that_nobody_asked_for_is_a_failure() -> None:
    run = run_task(worker, "stops", retry=RetryPolicy(max_attempts=1))
    assert run.state is TaskState.FAILED


def test_an_attempt_that_takes_too_long_times_out_and_is_retried() -> None:
    run = run_task(worker, "sleep", 100, timeout=30, retry=RetryPolicy(max_attempts=2, initial_backoff=5))
    assert outcomes(run) == ["TIMED_OUT", "TIMED_OUT"]
    assert [(attempt.started, attempt.ended) for attempt in run.attempts] == [(0, 30), (35, 65)]
    assert run.error is not None
    assert run.error.type == "TIMEOUT"


def test_a_cancel_reaches_the_handler() -> None:
    run = run_task(worker, "sleep", 100, cancel_after=10)
    assert (run.state, outcomes(run), run.elapsed) == (TaskState.CANCELLED, ["CANCELLED"], 10)
    with pytest.raises(TaskCancelled):
        _ = run.result


def test_a_cancel_between_attempts_ends_the_task() -> None:
    run = run_task(worker, flaky, 3, cancel_after=30)
    assert (run.state, outcomes(run), run.elapsed) == (TaskState.CANCELLED, ["FAILED"], 30)


def test_a_handler_that_ignores_its_cancel_is_given_up() -> None:
    run = run_task(worker, "deaf", cancel_after=10)
    assert (run.state, outcomes(run), run.elapsed) == (TaskState.CANCELLED, ["CANCELLED"], 40)


def test_threads_are_waited_for_in_real_time() -> None:
    # Were time skipped for the timeout, there would be one.
    for type in ("thread", "errand"):
        run = run_task(worker, type, 0.05, timeout=3600)
        assert run.result == "done"
        assert 0 < run.elapsed < 60


def test_handlers_in_threads_are_stopped_too() -> None:
    timed_out = run_task(worker, "thread", 3600, timeout=0.05, retry=RetryPolicy(max_attempts=1))
    assert outcomes(timed_out) == ["TIMED_OUT"]
    assert run_task(worker, "thread", 3600, cancel_after=0.05).state is TaskState.CANCELLED


def test_handlers_with_a_process_of_their_own_have_one() -> None:
    run = run_task(defined.worker, defined.spawn, Town("Lyon"))
    assert run.result == Town("LYON")
    assert [attempt.outcome for attempt in run.attempts] == [AttemptOutcome.SUCCEEDED]


def test_payloads_and_results_are_held_to_their_definitions() -> None:
    wrong = run_task(defined.worker, "town.greet", {"name": 3})
    assert wrong.error is not None
    assert (wrong.error.type, outcomes(wrong)) == ("INVALID_PAYLOAD", ["FAILED"])
    lie = run_task(defined.worker, defined.lie, "")
    assert lie.error is not None
    assert (lie.error.type, outcomes(lie)) == ("INVALID_RESULT", ["FAILED"])


def test_a_type_without_a_handler_is_an_error_of_the_test() -> None:
    with pytest.raises(ValueError, match="no handler for 'other'"):
        run_task(worker, "other")
