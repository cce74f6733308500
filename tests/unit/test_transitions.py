"""The state machine."""

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits, transitions
from taskyard_core.domain.task import TERMINAL, Outcome, RetryPolicy, TaskError, TaskState
from taskyard_core.domain.transitions import (
    Cancelled,
    Due,
    Event,
    Expired,
    Failed,
    IllegalTransition,
    Lost,
    Redriven,
    Released,
    Snapshot,
    Stopped,
    Succeeded,
    Transition,
    decide,
)

WAITING = {TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED}
DRAWS = st.floats(0, 1, exclude_max=True)
SNAPSHOTS = st.builds(
    Snapshot,
    id=st.just("t"),
    state=st.sampled_from(TaskState),
    attempt=st.integers(0, 10),
    failures=st.integers(0, 10),
    crashes=st.integers(0, 5),
    cancel_requested=st.booleans(),
    retry=st.builds(RetryPolicy, max_attempts=st.integers(1, 5)),
    session=st.just("s"),
)
ERRORS = st.builds(TaskError, st.sampled_from(["ValueError", "TIMEOUT"]), retryable=st.booleans())
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Succeeded, st.just(b"1")),
    st.builds(Failed, ERRORS),
    *(st.just(kind()) for kind in (Stopped, Released, Lost, Due, Cancelled, Expired, Redriven)),
)
LEGAL = {
    Succeeded: {TaskState.RUNNING: {TaskState.SUCCEEDED}},
    Failed: {TaskState.RUNNING: {TaskState.SCHEDULED, TaskState.FAILED, TaskState.CANCELLED}},
    Stopped: {TaskState.RUNNING: {TaskState.CANCELLED, TaskState.SCHEDULED, TaskState.FAILED}},
    Released: {TaskState.RUNNING: {TaskState.QUEUED, TaskState.CANCELLED}},
    Lost: {TaskState.RUNNING: {TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED}},
    Due: {TaskState.SCHEDULED: {TaskState.QUEUED}},
    Cancelled: {state: {TaskState.CANCELLED} for state in WAITING},
    Expired: {state: {TaskState.EXPIRED} for state in WAITING},
    Redriven: {TaskState.FAILED: {TaskState.QUEUED}},
}


def decided(task: Snapshot, event: Event, draw: float = 0.5) -> Transition | None:
    try:
        return decide(task, event, lambda: draw)
    except IllegalTransition:
        return None


@given(SNAPSHOTS, EVENTS, DRAWS)
def test_a_task_moves_along_the_diagram_or_not_at_all(task: Snapshot, event: Event, draw: float) -> None:
    found = decided(task, event, draw)
    targets = LEGAL[type(event)].get(task.state)
    if targets is None:
        assert found is None
    else:
        assert found is not None
        assert found.source is task.state
        assert found.target in targets


@given(SNAPSHOTS, EVENTS)
def test_only_a_redrive_leaves_a_terminal_state(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found and task.state in TERMINAL:
        assert isinstance(event, Redriven)
        assert task.state is TaskState.FAILED


@given(SNAPSHOTS, EVENTS)
def test_the_attempt_is_the_fence_and_only_a_claim_raises_it(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found:
        assert found.attempt == task.attempt
        assert found.source is not TaskState.RUNNING or found.session == task.session


@given(SNAPSHOTS, EVENTS)
def test_an_attempt_that_ends_has_an_outcome(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found:
        assert (found.outcome is not None) == (task.state is TaskState.RUNNING)


@given(SNAPSHOTS, EVENTS)
def test_budgets_are_separate(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found is None:
        return
    match event:
        case Redriven():
            assert (found.failures, found.crashes) == (0, 0)
        case Failed():
            assert (found.failures, found.crashes) == (task.failures + 1, task.crashes)
        case Lost():
            assert (found.failures, found.crashes) == (task.failures, task.crashes + 1)
        case _:
            assert (found.failures, found.crashes) == (task.failures, task.crashes)


@given(SNAPSHOTS, EVENTS)
def test_a_task_that_shall_stop_is_never_run_again(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found and task.state is TaskState.RUNNING and task.cancel_requested:
        assert found.target in {TaskState.CANCELLED, TaskState.SUCCEEDED}


@given(SNAPSHOTS, ERRORS, DRAWS)
def test_a_failure_is_retried_while_there_is_budget(task: Snapshot, error: TaskError, draw: float) -> None:
    found = decided(task, Failed(error), draw)
    if found is None or task.cancel_requested:
        return
    again = error.retryable and task.failures + 1 < task.retry.max_attempts  # type: ignore[operator]
    assert (found.target is TaskState.SCHEDULED) == again
    assert (found.delay is not None) == again
    assert found.error == error
    assert found.outcome is (Outcome.TIMED_OUT if error.type == "TIMEOUT" else Outcome.FAILED)


@given(SNAPSHOTS, st.just(limits.CRASHES_ALLOWED) | st.integers(0, 5))
def test_a_task_whose_workers_keep_dying_is_quarantined(task: Snapshot, allowed: int) -> None:
    found = decided(task, Lost() if allowed == limits.CRASHES_ALLOWED else Lost(allowed))
    if found is None or task.cancel_requested:
        return
    quarantined = task.crashes + 1 > allowed
    assert (found.target is TaskState.FAILED) == quarantined
    if quarantined:
        assert found.error is not None
        assert (found.error.type, found.error.retryable) == ("CRASH_LOOP", False)


def test_a_success_carries_its_result() -> None:
    task = Snapshot("t", TaskState.RUNNING, 2, session="s")
    assert decide(task, Succeeded(b"7"), lambda: 0.5) == Transition(
        "t", TaskState.RUNNING, 2, TaskState.SUCCEEDED, 0, 0, session="s", result=b"7", outcome=Outcome.SUCCEEDED
    )


def test_a_redriven_task_may_run_at_once() -> None:
    found = decide(Snapshot("t", TaskState.FAILED, 3, failures=3, crashes=1), Redriven(), lambda: 0.5)
    assert (found.delay, found.outcome, found.session) == (0.0, None, None)


def test_a_refusal_tells_the_state() -> None:
    with pytest.raises(IllegalTransition, match="SUCCEEDED"):
        decide(Snapshot("t", TaskState.SUCCEEDED, 1), Cancelled(), lambda: 0.5)


def test_the_table_knows_the_same_words() -> None:
    schema = (files("taskyard_core.storage.postgres") / "migrations" / "0001.initial.sql").read_text()
    checked = re.search(r"state\s+text\s+NOT NULL CHECK \(state IN \(([^)]*)\)\)", schema)
    assert checked is not None
    assert set(re.findall(r"'(\w+)'", checked[1])) == set(TaskState)
    ended = re.search(r"outcome\s+text\s+NOT NULL CHECK \(outcome IN \(([^)]*)\)\)", schema)
    assert ended is not None
    assert set(re.findall(r"'(\w+)'", ended[1])) == set(Outcome)


def test_every_event_is_covered_here() -> None:
    assert set(LEGAL) == set(transitions.Event.__args__)
