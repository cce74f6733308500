"""From a request's bytes to its message, within limits that hold before anything is parsed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from scheduler.api import failures
from scheduler.domain import limits
from scheduler.domain.violations import Violation
from scheduler.wire import scanning, undecodable
from scheduler.wire.gen import task_pb2, task_service_pb2

_BATCH = task_service_pb2.SubmitTasksRequest.DESCRIPTOR
_TASKS = _BATCH.fields_by_name["tasks"].number
_PAYLOAD = task_pb2.TaskSpec.DESCRIPTOR.fields_by_name["payload"].number
_OTHERS = 100
"""Fields of a batch that are not tasks; newer clients may send some that we don't know."""
_BEFORE_PAYLOAD = 32
"""Fields of a task among which its payload is looked for."""

_BYTES = {
    _BATCH.full_name: ("tasks", limits.BATCH_BYTES),
    task_service_pb2.SubmitTaskRequest.DESCRIPTOR.full_name: ("task", limits.SUBMIT_BYTES),
}


def reader(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """What reads requests of the message whose FromString that is; it raises Failure or Violation."""
    descriptor: Descriptor = deserialize.__self__.DESCRIPTOR  # type: ignore[attr-defined]
    field, most = _BYTES.get(descriptor.full_name, ("request", limits.REQUEST_BYTES))

    def read(raw: bytes) -> Any:
        if len(raw) > most:
            raise failures.too_large(field, most)
        if descriptor is _BATCH:
            check_batch(raw)
        try:
            return deserialize(raw)
        except DecodeError:
            raise undecodable.violation(raw, descriptor) from None

    return read


def check_batch(raw: bytes) -> None:
    """Raise Violation for a batch of too many parts; it looks at no more of them than are allowed."""
    parts = list(islice(scanning.fields(raw), limits.BATCH_TASKS + _OTHERS + 1))
    tasks = [part for part in parts if part.number == _TASKS]
    if len(tasks) > limits.BATCH_TASKS:
        raise Violation("tasks", f"more than {limits.BATCH_TASKS} tasks")
    if len(parts) - len(tasks) > _OTHERS:
        raise Violation("request", f"more than {_OTHERS} fields beside its tasks")
    # What is no payload may consist of fields of two bytes, each of which becomes an object.
    most = limits.SPARE_BYTES + limits.TASK_SPARE_BYTES * len(tasks)
    if len(raw) > most and len(raw) - sum(_payload_bytes(raw, task) for task in tasks) > most:
        raise Violation("tasks", f"more than {most} bytes beside their payloads")


def _payload_bytes(raw: bytes, task: scanning.Field) -> int:
    found = islice(scanning.fields(raw, task.start, task.end), _BEFORE_PAYLOAD)
    return next((part.end - part.start for part in found if part.number == _PAYLOAD), 0)
