"""Requests that are not the message they should be: what is wrong with them."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from taskyard_core.domain.violations import Violation
from taskyard_core.wire import scanning
from taskyard_core.wire.scanning import LENGTH_DELIMITED, Field

_VARINT, _FIXED64, _FIXED32 = 0, 1, 5
_DEPTH = 20
_FIELDS = 20_000
"""Fields that are looked at for what is wrong: more than a full batch has."""


def violation(raw: bytes, descriptor: Descriptor, whole: str = "request") -> Violation:
    """The field that keeps the bytes from being such a message: the first string that is not UTF-8, or the whole."""
    found = Search().find(raw, Field(0, LENGTH_DELIMITED, 0, len(raw)), descriptor)
    return found or Violation(whole, f"cannot be read as {descriptor.full_name}")


class Search:
    """Looks at so many fields and no more, in however many messages."""

    def __init__(self) -> None:
        self._raw = b""
        self._left = _FIELDS

    def find(self, raw: bytes, message: Field, descriptor: Descriptor) -> Violation | None:
        """The first string of a message, which is a part of these bytes, that is not UTF-8."""
        self._raw = raw
        return self._in_message(message, descriptor, _DEPTH)

    def _in_message(self, whole: Field, descriptor: Descriptor, depth: int) -> Violation | None:
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
            found = self._in_message(part, field.message_type, depth - 1)
            return found.within(path) if found else None
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                self._raw[part.start : part.end].decode()
            except UnicodeDecodeError as error:
                return Violation(path, f"not UTF-8: {error.reason} at byte {error.start}")
        return None


def repaired(raw: bytes, descriptor: Descriptor) -> bytes:
    """The same message with replacement characters for what is not UTF-8 in its strings; raises DecodeError."""
    return _repaired(raw, descriptor, _DEPTH)


def _repaired(raw: bytes, descriptor: Descriptor, depth: int) -> bytes:
    empty = Empty()
    empty.ParseFromString(raw)
    parts = bytearray()
    for unknown in UnknownFieldSet(empty):  # type: ignore[attr-defined]
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type not in (_VARINT, _FIXED64, LENGTH_DELIMITED, _FIXED32):
            continue
        parts += _varint(unknown.field_number << 3 | unknown.wire_type)
        if unknown.wire_type == LENGTH_DELIMITED:
            data = _text(unknown.data, field, depth)
            parts += _varint(len(data)) + data
        elif unknown.wire_type == _VARINT:
            parts += _varint(unknown.data)
        else:
            parts += unknown.data.to_bytes(8 if unknown.wire_type == _FIXED64 else 4, "little")
    return bytes(parts)


def _text(data: bytes, field: FieldDescriptor, depth: int) -> bytes:
    if field.message_type is not None and depth:
        return _repaired(data, field.message_type, depth - 1)
    return data.decode(errors="replace").encode() if field.type == FieldDescriptor.TYPE_STRING else data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
