"""From a request's bytes to its message, within limits that hold before anything is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation
from taskyard_core.wire import scanning, undecodable
from taskyard_core.wire.gen import task_pb2, task_service_pb2
from taskyard_scheduler.api import failures

_BATCH = task_service_pb2.SubmitTasksRequest.DESCRIPTOR
_TASKS = _BATCH.fields_by_name["tasks"].number
_EMPTY_TASK = bytes((_TASKS << 3 | scanning.LENGTH_DELIMITED, 0))
_SPEC = task_pb2.TaskSpec.DESCRIPTOR
_PAYLOAD = _SPEC.fields_by_name["payload"].number
_TEXTS = {
    field.number: field.name
    for field in _SPEC.fields
    if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
}
_OTHERS = 100
"""Fields of a batch that are not tasks; newer clients may send some that we don't know."""
_BEFORE_PAYLOAD = 32
"""Fields of a task among which its payload is looked for."""

_BYTES = {
    _BATCH.full_name: ("tasks", limits.BATCH_BYTES),
    task_service_pb2.SubmitTaskRequest.DESCRIPTOR.full_name: ("task", limits.SUBMIT_BYTES),
}


class Batch(NamedTuple):
    """A request to submit tasks, and what is wrong with those that were not parsed, by their places."""

    message: task_service_pb2.SubmitTasksRequest
    refused: Mapping[int, Violation]


def reader(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """What reads requests of the message whose FromString that is; it raises Failure or Violation.

    A request to submit tasks is read as a Batch.
    """
    descriptor: Descriptor = deserialize.__self__.DESCRIPTOR  # type: ignore[attr-defined]
    field, most = _BYTES.get(descriptor.full_name, ("request", limits.REQUEST_BYTES))

    def parse(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError:
            raise undecodable.violation(raw, descriptor) from None

    def read(raw: bytes) -> Any:
        if len(raw) > most:
            raise failures.too_large(field, most)
        if descriptor is not _BATCH:
            return parse(raw)
        raw, refused = check_batch(raw)
        try:
            return Batch(deserialize(raw), refused)
        except DecodeError:
            raw, garbled = _without_garbled(raw)
            return Batch(parse(raw), {**garbled, **refused})

    return read


def check_batch(raw: bytes) -> tuple[bytes, Mapping[int, Violation]]:
    """The batch with empty tasks for those that are too large to be parsed, and what is wrong with them, by place.

    Raises Violation for a batch of too many parts; it looks at no more of them than are allowed.
    """
    parts = list(islice(scanning.fields(raw), limits.BATCH_TASKS + _OTHERS + 1))
    tasks = _tasks_among(parts)
    if len(tasks) > limits.BATCH_TASKS:
        raise Violation("tasks", f"more than {limits.BATCH_TASKS} tasks")
    if len(parts) - len(tasks) > _OTHERS:
        raise Violation("request", f"more than {_OTHERS} fields beside its tasks")
    if any(part.wire_type in scanning.GROUPS for part in parts):
        raise Violation("request", "has a group, which no message here does")
    # What is no payload may consist of fields of two bytes, each of which becomes an object.
    most = limits.SPARE_BYTES + limits.TASK_SPARE_BYTES * len(tasks)
    if len(raw) <= most:
        return raw, {}
    spare = [task.end - task.start - _payload_bytes(raw, task) for task in tasks]
    over = len(raw) - sum(task.end - task.start for task in tasks) + sum(spare) - most
    refused: dict[int, Violation] = {}
    for place in sorted(range(len(tasks)), key=spare.__getitem__, reverse=True):
        if over <= 0:
            break
        refused[place] = _too_long(raw, tasks[place], spare[place], f"tasks[{place}]")
        over -= spare[place]
    if over > 0:
        raise Violation("request", f"more than {most} bytes beside its payloads")
    return _without(raw, parts, [tasks[place] for place in sorted(refused)]), refused


def _without_garbled(raw: bytes) -> tuple[bytes, Mapping[int, Violation]]:
    """The batch with empty tasks for those that cannot be parsed, and what is wrong with them, by place."""
    parts = list(scanning.fields(raw))
    tasks = _tasks_among(parts)
    search = undecodable.Search()
    garbled: dict[int, Violation] = {}
    begins = _ends_before(parts)
    for place, task in enumerate(tasks):
        if not _is_readable(raw[begins.get(task.start, 0) : task.end]):
            path = f"tasks[{place}]"
            found = search.find(raw, task, _SPEC)
            garbled[place] = found.within(path) if found else Violation(path, f"cannot be read as {_SPEC.full_name}")
    return _without(raw, parts, [tasks[place] for place in garbled]), garbled


def _tasks_among(parts: Sequence[scanning.Field]) -> list[scanning.Field]:
    return [part for part in parts if part.number == _TASKS and part.wire_type == scanning.LENGTH_DELIMITED]


def _is_readable(raw: bytes) -> bool:
    # As a part of a batch: what is as deep as a parser goes is too deep in there.
    try:
        task_service_pb2.SubmitTasksRequest.FromString(raw)
    except DecodeError:
        return False
    return True


def _payload_bytes(raw: bytes, task: scanning.Field) -> int:
    found = islice(scanning.fields(raw, task.start, task.end), _BEFORE_PAYLOAD)
    return next((part.end - part.start for part in found if part.number == _PAYLOAD), 0)


def _too_long(raw: bytes, task: scanning.Field, spare: int, path: str) -> Violation:
    """Names the longest of the task's first texts, if that is why it has so many bytes beside its payload."""
    found = islice(scanning.fields(raw, task.start, task.end), _BEFORE_PAYLOAD)
    lengths = [(part.end - part.start, part.number) for part in found if part.number in _TEXTS]
    length, number = max(lengths, default=(0, 0))
    if 2 * length <= spare:
        return Violation(path, f"{spare} bytes beside its payload are too many")
    return Violation(f"{path}.{_TEXTS[number]}", f"{length} bytes are too many")


def _without(raw: bytes, parts: Sequence[scanning.Field], tasks: Sequence[scanning.Field]) -> bytes:
    """The same with an empty task in place of each of these, which are in order."""
    begins = _ends_before(parts)
    kept, at = bytearray(), 0
    for task in tasks:
        kept += raw[at : begins.get(task.start, 0)] + _EMPTY_TASK
        at = task.end
    return bytes(kept + raw[at:])


def _ends_before(parts: Sequence[scanning.Field]) -> dict[int, int]:
    """Where the part before each one ends, by where its value starts; the first one has none before it."""
    return {part.start: before.end for before, part in pairwise(parts)}
