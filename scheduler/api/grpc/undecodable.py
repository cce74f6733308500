"""Requests that are not the message they should be: what is wrong with them."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from scheduler.domain.violations import Violation
from scheduler.wire import scanning
from scheduler.wire.scanning import LENGTH_DELIMITED, Field

_DEPTH = 20
_FIELDS = 20_000
"""Fields that are looked at: more than a full batch has up to its last task's texts."""


def violation(raw: bytes, descriptor: Descriptor) -> Violation:
    """The field that keeps the bytes from being such a message: the first string that is not UTF-8."""
    steps = iter(range(_FIELDS))
    found = _in_message(raw, 0, len(raw), descriptor, _DEPTH, steps)
    return found or Violation("request", f"cannot be read as {descriptor.full_name}")


def _in_message(
    raw: bytes, start: int, end: int, descriptor: Descriptor, depth: int, steps: Iterator[int]
) -> Violation | None:
    places: dict[int, int] = {}
    for _, part in zip(steps, scanning.fields(raw, start, end), strict=False):
        field = descriptor.fields_by_number.get(part.number)
        place = places[part.number] = places.get(part.number, -1) + 1
        if field is not None and part.wire_type == LENGTH_DELIMITED and depth:
            path = f"{field.name}[{place}]" if field.is_repeated else field.name
            if found := _in_field(raw, part, field, path, depth, steps):
                return found
    return None


def _in_field(
    raw: bytes, part: Field, field: FieldDescriptor, path: str, depth: int, steps: Iterator[int]
) -> Violation | None:
    if field.message_type is not None:
        found = _in_message(raw, part.start, part.end, field.message_type, depth - 1, steps)
        return found.within(path) if found else None
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            raw[part.start : part.end].decode()
        except UnicodeDecodeError as error:
            return Violation(path, f"not UTF-8: {error.reason} at byte {error.start}")
    return None
