"""The state machine."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits, transitions
from taskyard_core.domain.task import TERMINAL, Outcome, RetryPolicy, TaskError, TaskState
from taskyard_core.domain.transitions import (
    RULES,
    SUCCEEDED,
    Cancelled,
    Due,
    Event,
    Expired,
    Failed,
    IllegalTransition,
    Lost,
    Redriven,
    Released,
    Rule,
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
    Succeeded: {TaskState.RUNNING: {TaskState.SUCCEEDED}, TaskState.QUEUED: {TaskState.SUCCEEDED}},
    Failed: {TaskState.RUNNING: {TaskState.SCHEDULED, TaskState.FAILED, TaskState.CANCELLED}},
    Stopped: {TaskState.RUNNING: {TaskState.CANCELLED, TaskState.SCHEDULED, TaskState.FAILED}},
    Released: {TaskState.RUNNING: {TaskState.QUEUED, TaskState.CANCELLED}},
    Lost: {TaskState.RUNNING: {TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED}},
    Due: {TaskState.SCHEDULED: {TaskState.QUEUED}},
    Cancelled: {state: {TaskState.CANCELLED} for state in WAITING},
    Expired: {state: {TaskState.EXPIRED} for state in WAITING},
    Redriven: {TaskState.FAILED: {TaskState.QUEUED}},
}


PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()


def printed() -> str:
    """The table, as docs/architecture.md has it."""
    head = ["event", "from", "to", "after a cancel", "attempt", "failures", "crashes", "owner", "cleared"]
    return "\n".join("| " + " | ".join(row).rstrip() + " |" for row in [head, ["---"] * len(head), *map(_line, RULES)])


def _line(rule: Rule) -> list[str]:
    counts = ["0" if more is None else f"+{more}" if more else "" for more in (rule.failures, rule.crashes)]
    cleared = {
        "error": rule.clears_error,
        "cancel_requested": rule.clears_cancel,
        "expires_at, if passed": rule.clears_expiry,
    }
    return [
        rule.event,
        ", ".join(rule.sources),
        rule.target,
        rule.if_cancelled or "",
        rule.outcome or "",
        *counts,
        "forgotten" if rule.clears_owner else "stays",
        ", ".join(name for name, clears in cleared.items() if clears),
    ]


def target(task: Snapshot, found: Transition) -> TaskState:
    """Where it leads if the row is as the snapshot has it."""
    return (found.rule.if_cancelled if task.cancel_requested else None) or found.rule.target


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
        assert target(task, found) in targets


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
        assert task.state is not TaskState.RUNNING or found.session == task.session


@given(SNAPSHOTS, EVENTS)
def test_an_attempt_that_ends_has_an_outcome(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found:
        # A late success ends an attempt whose task waits again.
        assert (found.rule.outcome is not None) == (task.state is TaskState.RUNNING or isinstance(event, Succeeded))


@given(SNAPSHOTS, EVENTS)
def test_budgets_are_separate(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found is None:
        return
    counts = (found.rule.failures, found.rule.crashes)
    match event:
        case Redriven():
            assert counts == (None, None)
        case Failed():
            assert counts == (1, 0)
        case Lost():
            assert counts == (0, 1)
        case Stopped():
            assert counts == (0 if task.cancel_requested else 1, 0)
        case _:
            assert counts == (0, 0)


@given(SNAPSHOTS, EVENTS)
def test_a_task_that_shall_stop_is_never_run_again(task: Snapshot, event: Event) -> None:
    found = decided(task, event)
    if found and task.state is TaskState.RUNNING and task.cancel_requested:
        assert target(task, found) in {TaskState.CANCELLED, TaskState.SUCCEEDED}


@given(SNAPSHOTS, ERRORS, DRAWS)
def test_a_failure_is_retried_while_there_is_budget(task: Snapshot, error: TaskError, draw: float) -> None:
    found = decided(task, Failed(error), draw)
    if found is None or task.cancel_requested:
        return
    again = error.retryable and task.failures + 1 < task.retry.max_attempts  # type: ignore[operator]
    assert (found.rule.target is TaskState.SCHEDULED) == again
    assert (found.delay is not None) == again
    assert found.error == error
    assert found.rule.outcome is (Outcome.TIMED_OUT if error.type == "TIMEOUT" else Outcome.FAILED)


@given(SNAPSHOTS)
def test_a_task_whose_workers_keep_dying_is_quarantined(task: Snapshot) -> None:
    found = decided(task, Lost())
    if found is None or task.cancel_requested:
        return
    quarantined = task.crashes + 1 > limits.CRASHES_ALLOWED
    assert (found.rule.target is TaskState.FAILED) == quarantined
    if quarantined:
        assert found.error is not None
        assert (found.error.type, found.error.retryable) == ("CRASH_LOOP", False)


def test_a_success_carries_its_result() -> None:
    task = Snapshot("t", TaskState.RUNNING, 2, session="s")
    found = decide(task, Succeeded(b"7"), lambda: 0.5)
    assert found == Transition("t", 2, SUCCEEDED, session="s", result=b"7")
    assert found.rule.outcome is Outcome.SUCCEEDED


def test_a_redriven_task_may_run_at_once() -> None:
    found = decide(Snapshot("t", TaskState.FAILED, 3, failures=3, crashes=1), Redriven(), lambda: 0.5)
    assert (found.delay, found.rule.outcome, found.session) == (0.0, None, None)


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


def test_the_page_shows_the_table_that_the_code_has() -> None:
    assert printed() in PAGE, printed()


def test_the_diagram_has_the_arrows_of_the_table() -> None:
    drawn = {(source, target) for source, target in re.findall(r"^    (\S+) --> (\w+):", PAGE, re.MULTILINE)}
    ruled = {(source, to) for rule in RULES for source in rule.sources for to in (rule.target, rule.if_cancelled) if to}
    # Nothing enters BLOCKED yet.
    moves = {(source, to) for source, to in ruled if source is not TaskState.BLOCKED}
    assert drawn == moves | {("[*]", "QUEUED"), ("[*]", "SCHEDULED"), ("QUEUED", "RUNNING")}
    assert {state for arrow in drawn for state in arrow} == {"[*]", *TaskState} - {"BLOCKED"}


def test_what_ends_has_ended_for_good_and_what_waits_again_may_run() -> None:
    for rule in RULES:
        assert rule.if_cancelled in {None, TaskState.CANCELLED}
        if rule.if_cancelled is None and rule.sources == (TaskState.RUNNING,):
            assert rule.target.terminal, rule
        if rule.clears_cancel or rule.clears_expiry or rule.clears_owner:
            assert not rule.target.terminal, rule


def test_every_event_is_covered_here() -> None:
    assert set(LEGAL) == set(transitions.Event.__args__)
