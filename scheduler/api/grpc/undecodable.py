"""Requests that are not the message they should be: what is wrong with them."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from scheduler.domain.violations import Violation
from scheduler.wire import scanning
from scheduler.wire.scanning import LENGTH_DELIMITED, Field

_DEPTH = 20
_FIELDS = 20_000
"""Fields that are looked at: more than a full batch has."""


def violation(raw: bytes, descriptor: Descriptor) -> Violation:
    """The field that keeps the bytes from being such a message: the first string that is not UTF-8."""
    whole = Field(0, LENGTH_DELIMITED, 0, len(raw))
    found = _Search(raw).in_message(whole, descriptor, _DEPTH)
    return found or Violation("request", f"cannot be read as {descriptor.full_name}")


class _Search:
    """Looks at so many fields and no more."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = _FIELDS

    def in_message(self, whole: Field, descriptor: Descriptor, depth: int) -> Violation | None:
        places: dict[int, int] = {}
        for part in scanning.fields(self._raw, whole.start, whole.end):
            self._left -= 1
            if self._left < 0:
                return None
            field = descriptor.fields_by_number.get(part.number)
            place = places[part.number] = places.get(part.number, -1) + 1
            if field is not None and part.wire_type == LENGTH_DELIMITED and depth:
                path = f"{field.name}[{place}]" if field.is_repeated else field.name
                if found := self._in_field(part, field, path, depth):
                    return found
        return None

    def _in_field(self, part: Field, field: FieldDescriptor, path: str, depth: int) -> Violation | None:
        if field.message_type is not None:
            found = self.in_message(part, field.message_type, depth - 1)
            return found.within(path) if found else None
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                self._raw[part.start : part.end].decode()
            except UnicodeDecodeError as error:
                return Violation(path, f"not UTF-8: {error.reason} at byte {error.start}")
        return None
