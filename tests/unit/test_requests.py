"""Requests over gRPC before they are parsed."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation
from taskyard_core.wire import scanning, undecodable
from taskyard_core.wire.gen import queue_service_pb2, task_pb2, task_service_pb2
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.api.grpc import requests

MIB = 1024 * 1024
BATCH = task_service_pb2.SubmitTasksRequest
SPECS = st.builds(
    task_pb2.TaskSpec,
    queue=st.text(max_size=300),
    payload=st.binary(max_size=300),
    priority=st.integers(-1, 2**31 - 1),
    depends_on=st.lists(st.text(max_size=3), max_size=4),
)


@given(st.lists(SPECS, max_size=5), st.booleans())
def test_fields_are_found_where_protobuf_finds_them(tasks: list[task_pb2.TaskSpec], ids_only: bool) -> None:
    raw = BATCH(tasks=tasks, ids_only=ids_only).SerializeToString()
    empty = Empty()
    empty.ParseFromString(raw)
    wanted = [(field.field_number, field.wire_type) for field in UnknownFieldSet(empty)]  # type: ignore[attr-defined]
    found = list(scanning.fields(raw))
    assert [(field.number, field.wire_type) for field in found] == wanted
    assert [raw[f.start : f.end] for f in found if f.number == 1] == [t.SerializeToString() for t in tasks]


@given(st.binary(max_size=80))
def test_any_bytes_are_looked_at_without_harm(raw: bytes) -> None:
    for field in scanning.fields(raw):
        assert 0 < field.start <= field.end <= len(raw)
    undecodable.violation(raw, BATCH.DESCRIPTOR)


def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the fields that are looked at from now on."""
    seen = [0]
    real = scanning.fields

    def counting(*args: Any) -> Iterator[scanning.Field]:
        for field in real(*args):
            seen[0] += 1
            yield field

    monkeypatch.setattr(scanning, "fields", counting)
    return seen


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"\n\0" * (2 * MIB), "tasks"),
        # Not the shortest way to write the same field.
        (b"\x8a\x00\0" * MIB, "tasks"),
        # A group first, which hides nothing.
        (b"\x0b\x0c" + b"\n\0" * MIB, "tasks"),
        (b"\xf8\x07\x01" * MIB, "request"),
        (b"\x10\x01" * MIB, "request"),
        (b"\x0b" * MIB, "request"),
        # One that is as large as it may be, in an unknown field.
        (b"\xfa\x07" + b"\x80\x80\x40" + b"\0" * MIB, "request"),
    ],
    ids=["tasks", "long tags", "group", "unknown", "flags", "groups", "large"],
)
def test_a_batch_of_too_many_parts_is_not_parsed(raw: bytes, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(raw) <= limits.BATCH_BYTES
    seen = steps(monkeypatch)
    with pytest.raises(Violation) as refused:
        requests.check_batch(raw)
    assert refused.value.field == field
    assert seen[0] <= 20_000


GOOD = task_pb2.TaskSpec(type="t", payload=b'"' + b"x" * 1000 + b'"')


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (task_pb2.TaskSpec(type="t", selector="s" * 100_000), "tasks[1].selector"),
        (task_pb2.TaskSpec(type="t" * 100_000), "tasks[1].type"),
        (task_pb2.TaskSpec(payload=b"1", traceparent="t" * 100_000), "tasks[1].traceparent"),
        (task_pb2.TaskSpec(type="t", depends_on=[""] * MIB), "tasks[1]"),
        (task_pb2.TaskSpec.FromString(b"\xfa\x07\x80\x80\x40" + b"\0" * MIB), "tasks[1]"),
        (task_pb2.TaskSpec.FromString(b"\xf8\x07\x01" * MIB), "tasks[1]"),
    ],
    ids=["selector", "type", "traceparent", "many of a field", "unknown field", "unknown fields"],
)
def test_a_task_that_is_too_long_is_refused_alone(bad: task_pb2.TaskSpec, field: str) -> None:
    raw = BATCH(tasks=[GOOD, bad, GOOD], ids_only=True).SerializeToString()
    batch = requests.reader(BATCH.FromString)(raw)
    assert [violation.field for violation in batch.refused.values()] == [field]
    assert batch.message == BATCH(tasks=[GOOD, task_pb2.TaskSpec(), GOOD], ids_only=True)


def test_long_tasks_are_refused_no_further_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Within its bounds although it is longer than a task's share, since others leave theirs.
    long = task_pb2.TaskSpec(type="t", selector="\u00e9" * 1024)
    batch = BATCH(tasks=[long, task_pb2.TaskSpec(type="t" * 100_000)])
    assert [*requests.reader(BATCH.FromString)(batch.SerializeToString()).refused] == [1]
    many = BATCH(tasks=[task_pb2.TaskSpec(type="t", depends_on=[""] * 4000)] * 500).SerializeToString()
    seen = steps(monkeypatch)
    left, refused = requests.check_batch(many)
    assert seen[0] <= 50_000
    assert len(left) <= limits.SPARE_BYTES + limits.TASK_SPARE_BYTES * 500
    assert len(refused) == 365


@given(st.lists(SPECS, min_size=1, max_size=8), st.sets(st.integers(0, 7)))
def test_what_is_left_of_a_batch_is_in_its_place(tasks: list[task_pb2.TaskSpec], long: set[int]) -> None:
    long = {place for place in long if place < len(tasks)}
    for place in long:
        tasks[place].selector = "s" * 90_000
    batch = requests.reader(BATCH.FromString)(BATCH(tasks=tasks).SerializeToString())
    assert batch.refused.keys() == long
    empty = task_pb2.TaskSpec()
    assert list(batch.message.tasks) == [empty if place in long else task for place, task in enumerate(tasks)]


def test_full_batches_pass_and_cost_little_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    full = task_pb2.TaskSpec(
        namespace="n" * 63, queue="q" * 63, type="t" * 128, selector="s" * 1024, idempotency_key="k" * 256
    )
    large = task_pb2.TaskSpec(type="t", payload=b"x" * limits.PAYLOAD_BYTES)
    seen = steps(monkeypatch)
    for batch in (BATCH(tasks=[full] * 1000), BATCH(tasks=[large] * 15), BATCH(tasks=[full], ids_only=True), BATCH()):
        requests.check_batch(batch.SerializeToString())
    assert seen[0] <= 5000


@pytest.mark.parametrize(
    ("kind", "field", "most"),
    [
        (BATCH, "tasks", limits.BATCH_BYTES),
        (task_service_pb2.SubmitTaskRequest, "task", limits.SUBMIT_BYTES),
        (task_service_pb2.WatchTasksRequest, "request", limits.REQUEST_BYTES),
        (queue_service_pb2.GetBacklogRequest, "request", limits.REQUEST_BYTES),
    ],
)
def test_each_method_has_its_size(kind: Any, field: str, most: int) -> None:
    with pytest.raises(Failure) as refused:
        requests.reader(kind.FromString)(b"\0" * (most + 1))
    assert [violation.field for violation in refused.value.violations] == [field]


def test_the_search_for_what_is_wrong_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = steps(monkeypatch)
    raw = BATCH(tasks=[task_pb2.TaskSpec(type="t", depends_on=["a"] * 60_000)]).SerializeToString()
    assert undecodable.violation(raw + b"\n\xff", BATCH.DESCRIPTOR).field == "request"
    assert seen[0] <= 21_000


def test_only_tasks_are_counted_and_groups_are_refused() -> None:
    raw = BATCH(
        tasks=[task_pb2.TaskSpec(type="a", selector="s" * 200_000), task_pb2.TaskSpec(type="b")]
    ).SerializeToString()
    left, refused = requests.check_batch(b"\x08\x05" + raw)
    assert list(refused) == [0]
    assert [task.type for task in BATCH.FromString(left).tasks] == ["", "b"]
    with pytest.raises(Violation, match="group"):
        requests.check_batch(raw + b"\x4b\x0a\x00\x4c")


def test_tasks_that_cannot_be_read_are_their_own_errors() -> None:
    good = task_pb2.TaskSpec(type="good").SerializeToString()
    # Field 3 (type) and field 2 (queue), with a byte that is not UTF-8; a field that ends too early.
    bad = (b"\x1a\x01\xff", b"\x1a\x01t\x12\x01\xff", b"\x1a\xff")
    raw = (
        b"".join(b"\x0a" + bytes((len(task),)) + task for task in (good, *bad, good))
        + BATCH(ids_only=True).SerializeToString()
    )
    batch = requests.reader(BATCH.FromString)(raw)
    assert [task.type for task in batch.message.tasks] == ["good", "", "", "", "good"]
    assert batch.message.ids_only
    told = {place: violation.field for place, violation in batch.refused.items()}
    assert told == {1: "tasks[1].type", 2: "tasks[2].queue", 3: "tasks[3]"}


def test_a_task_that_is_too_deep_only_within_its_batch_is_refused_alone() -> None:
    read, refused = requests.reader(BATCH.FromString), list[int]()
    good = BATCH(tasks=[task_pb2.TaskSpec(type="good")]).SerializeToString()
    for depth in range(90, 110):
        # Groups of field 100, one within the other; a parser goes 100 deep.
        task = b"\xa3\x06" * depth + b"\xa4\x06" * depth
        batch = read(good + b"\x0a" + bytes((len(task) & 127 | 128, len(task) >> 7)) + task + good)
        assert [task.type for task in batch.message.tasks] == ["good", "", "good"]
        assert batch.refused.keys() <= {1}
        refused += [depth] * len(batch.refused)
    assert refused == list(range(100, 110))


def test_the_search_in_many_tasks_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = steps(monkeypatch)
    task = task_pb2.TaskSpec(type="t", depends_on=["a"] * 300).SerializeToString() + b"\x1a\x01\xff"
    raw = b"".join(b"\x0a" + bytes((len(task) & 127 | 128, len(task) >> 7)) + task for _ in range(1000))
    assert len(requests.reader(BATCH.FromString)(raw).refused) == 1000
    assert seen[0] <= 30_000
