"""One item of a batch, whatever it holds, is a submission or its own refusal."""

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain.task import TaskSpec
from taskyard_core.domain.violations import Violation
from taskyard_core.wire import specs
from taskyard_core.wire.gen import task_pb2
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.api.rest import bodies, documents, models, values

ODD = (
    "",
    "t",
    "\0",
    "\ud800",
    "1s",
    "-1s",
    "1e9s",
    "999999999999.999999999s",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.9999999Z",
    "0000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00-99:99",
)
TEXT = st.text() | st.sampled_from(ODD)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from([10**400, -(2**63), 1e308])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
RETRY = st.dictionaries(
    st.sampled_from(["max_attempts", "initial_backoff", "multiplier", "max_backoff", "jitter"]), SCALARS, max_size=5
)
FIELDS = st.dictionaries(st.sampled_from(sorted(models.TaskSpec.model_fields)), JSON | SCALARS | RETRY, max_size=8)


def as_it_comes(item: Any) -> Any:
    """The item as a body would bring it, its payload raw."""
    try:
        body = json.dumps({"tasks": [item]}, allow_nan=False).encode("utf-8", "surrogatepass")
        return documents.batch(body)["tasks"][0]
    except (ValueError, documents.Malformed):
        return None


@given(FIELDS.map(lambda fields: {"type": "t"} | fields) | JSON)
def test_a_document_is_a_submission_or_a_refusal(item: Any) -> None:
    (read,) = bodies._items([as_it_comes(item)])
    assert isinstance(read, TaskSpec | Failure)


INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-62135596800, -62135596801, 253402300799, 253402300800])
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
DURATIONS = st.none() | st.builds(Duration, seconds=INT64, nanos=INT32)
MOMENTS = st.none() | st.builds(Timestamp, seconds=INT64, nanos=INT32)
MESSAGES = st.builds(
    task_pb2.TaskSpec,
    type=st.just("t") | WORDS,
    namespace=WORDS,
    queue=WORDS,
    payload=st.binary(),
    priority=st.none() | INT32,
    selector=WORDS,
    idempotency_key=WORDS,
    run_at=MOMENTS,
    delay=DURATIONS,
    expires_at=MOMENTS,
    timeout=DURATIONS,
    traceparent=WORDS,
    retry=st.none()
    | st.builds(
        task_pb2.RetryPolicy,
        max_attempts=INT32,
        multiplier=st.floats(),
        jitter=st.floats(),
        initial_backoff=DURATIONS,
        max_backoff=DURATIONS,
    ),
)


@given(MESSAGES)
def test_a_message_is_a_submission_or_a_violation(message: task_pb2.TaskSpec) -> None:
    with suppress(Violation):
        assert isinstance(specs.spec(message), TaskSpec)


@given(TEXT)
def test_text_is_a_moment_or_none(text: str) -> None:
    with suppress(ValueError):
        values.moment(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_date_beyond_the_calendar_in_utc_is_its_own_items_refusal(text: str) -> None:
    good, bad = bodies._items([{"type": "t"}, {"type": "t", "run_at": text}])
    assert isinstance(good, TaskSpec)
    assert isinstance(bad, Failure)
    assert bad.message == "tasks[1].run_at: must be between the years 1970 and 9000"
