"""Frames and rows of any kind: what they mean is told, or what is wrong with them."""

import math
import uuid
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits
from taskyard_core.domain.transitions import Failed, Stopped, Succeeded
from taskyard_core.domain.violations import Violation
from taskyard_core.storage import codec
from taskyard_core.storage.claims import Claimed
from taskyard_core.wire import undecodable
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen.task_pb2 import TaskError
from taskyard_dispatcher.gateway import guard
from taskyard_dispatcher.outcomes.completion import read_result
from taskyard_dispatcher.sessions import frames

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text() | st.sampled_from(["", "null", "{}", "[]", '{"max_attempts": 3}', '{"fraction": 1}', '{"type": 1}'])
CLAIMED = st.builds(
    Claimed,
    task_id=st.uuids().map(str),
    attempt=INT32,
    session=st.uuids().map(str),
    lane=st.sampled_from(["default/default/t/5/", "a/b/c/d/5/", "n/q/t/5/io in (a,b)"]),
    payload=st.none() | st.binary(),
    timeout=st.none() | st.floats(),
    failures=INT32,
    crashes=INT32,
    retry=st.none() | TEXT,
    traceparent=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    waited=st.floats(),
)
RESULTS = st.builds(
    wire.TaskResult,
    task_id=st.text(st.characters(exclude_categories=["Cs"])),
    attempt=INT32,
    run_time=st.builds(Duration, seconds=st.integers(-(2**63), 2**63 - 1), nanos=INT32),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
OUTCOMES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"result": st.binary()}),
    st.fixed_dictionaries(
        {"error": st.builds(TaskError, type=TEXTS, message=TEXTS, stack=TEXTS, retryable=st.booleans())}
    ),
    st.fixed_dictionaries({"cancelled": st.booleans()}),
    st.just({}),
)


@given(CLAIMED)
def test_a_claimed_row_becomes_a_message_or_a_violation(task: Claimed) -> None:
    with suppress(Violation):
        message = frames.assignment(task)
        sent = wire.Assignment.FromString(message.SerializeToString())
        assert (sent.task_id, sent.attempt) == (task.task_id, task.attempt)
        # As a worker reads them.
        sent.created_at.ToDatetime()
        sent.timeout.ToTimedelta()


def test_a_task_whose_id_is_of_another_kind_has_no_birthday_beyond_the_calendar() -> None:
    for task_id, known in (("ffffffff-ffff-4fff-8fff-ffffffffffff", False), (str(uuid.UUID(int=0)), True)):
        task = Claimed(task_id, 1, "s", "n/q/t/5/", b"1", None, 0, 0, None, None, 0.0)
        assert frames.assignment(task).HasField("created_at") is known


@given(RESULTS, OUTCOMES)
def test_a_result_becomes_an_event_whatever_it_holds(result: wire.TaskResult, outcome: dict[str, Any]) -> None:
    result.MergeFrom(wire.TaskResult(**outcome))
    report = read_result(result)
    assert isinstance(report.event, Succeeded | Failed | Stopped)
    assert report.invalid == (isinstance(report.event, Failed) and report.event.error.type == "INVALID_RESULT")
    if isinstance(report.event, Failed):
        stored = codec.dump_error(report.event.error)
        assert stored is not None
        assert "\0" not in stored
        assert "\\u0000" not in stored.replace("\\\\", "")
        assert codec.load_error(stored) is not None


@pytest.mark.parametrize(
    ("outcome", "wrong"), [({"cancelled": False}, "cancelled: must be true"), ({}, "outcome: is required")]
)
def test_an_outcome_that_says_nothing_is_none(outcome: dict[str, Any], wrong: str) -> None:
    report = read_result(wire.TaskResult(task_id="t", attempt=1, **outcome))
    assert report.invalid
    assert isinstance(report.event, Failed)
    assert (report.event.error.message, report.event.error.retryable) == (wrong, False)


def test_what_is_too_long_is_cut_and_shows_it() -> None:
    error = TaskError(type="T" * 300, message="m" * 5000, stack="s" * 20_000 + "end")
    event = frames.event(wire.TaskResult(error=error))
    assert isinstance(event, Failed)
    assert event.error.type == "T" * 255 + "…"
    assert event.error.message == "m" * 4095 + "…"
    assert (len(event.error.stack), event.error.stack[0], event.error.stack[-3:]) == (16384, "…", "end")
    fitting = TaskError(type="T" * 256, message="m" * 4096, stack="s" * 16384)
    event = frames.event(wire.TaskResult(error=fitting))
    assert isinstance(event, Failed)
    assert (event.error.type, event.error.message, event.error.stack) == (fitting.type, fitting.message, fitting.stack)


@given(st.none() | TEXT, st.none() | TEXT)
def test_documents_in_rows_are_read_as_far_as_they_can_be(text: str | None, labels: str | None) -> None:
    codec.load_retry(text)
    codec.load_error(text)
    progress = codec.load_progress(text)
    assert progress is None or 0 <= progress.fraction <= 1
    assert all(isinstance(value, str) for value in codec.load_labels(labels or "").values())


@given(st.floats())
def test_durations_in_rows_are_shown_where_a_message_can_hold_them(seconds: float) -> None:
    shown = codec.shown_seconds(seconds)
    assert shown is None or math.isfinite(shown)


@given(st.binary())
def test_bytes_become_a_frame_or_a_violation(raw: bytes) -> None:
    assert isinstance(guard.read(raw), wire.WorkerFrame | Violation)


def frame(*results: wire.TaskResult, **fields: object) -> wire.WorkerFrame:
    return wire.WorkerFrame(results=results, **fields)  # type: ignore[arg-type]


def test_text_that_is_not_utf_8_costs_its_neighbours_nothing() -> None:
    good = wire.TaskResult(task_id="good", attempt=2, result=b"\xff", run_time=Duration(seconds=-1, nanos=-5))
    bad = wire.TaskResult(task_id="bad", attempt=-3, error=TaskError(message="mark", retryable=True))
    whole = frame(good, bad, heartbeat=wire.Heartbeat(sequence=2**40, heard=0), goodbye=True)
    raw = whole.SerializeToString().replace(b"mark", b"m\xffrk")
    with pytest.raises(Exception, match="parsing"):
        wire.WorkerFrame.FromString(raw)
    bad.error.message = "m\ufffdrk"
    assert guard.read(raw) == frame(good, bad, heartbeat=whole.heartbeat, goodbye=True)


def test_a_hello_that_is_not_utf_8_is_refused_by_the_name_of_its_field() -> None:
    raw = wire.WorkerFrame(hello=wire.Hello(worker="mark")).SerializeToString().replace(b"mark", b"m\xffrk")
    refused = guard.read(raw)
    assert isinstance(refused, Violation)
    assert str(refused) == "hello.worker: not UTF-8: invalid start byte at byte 1"


def test_a_frame_that_is_too_large_is_refused_in_our_words() -> None:
    refused = guard.read(frame(wire.TaskResult(result=b" " * 9 * 1024 * 1024)).SerializeToString())
    assert isinstance(refused, Violation)
    assert str(refused) == f"frame: 9437194 bytes, at most {limits.FRAME_BYTES} are allowed"
    assert isinstance(guard.read(b"\x0a\xff"), Violation)


@given(st.binary(max_size=40), st.integers(0, 2**64 - 1), INT32)
def test_a_message_that_can_be_read_is_repaired_to_itself(result: bytes, sequence: int, attempt: int) -> None:
    message = frame(
        wire.TaskResult(task_id="é", attempt=attempt, result=result), heartbeat=wire.Heartbeat(sequence=sequence >> 1)
    )
    raw = message.SerializeToString()
    assert wire.WorkerFrame.FromString(undecodable.repaired(raw, wire.WorkerFrame.DESCRIPTOR)) == message
