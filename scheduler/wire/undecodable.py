"""Requests that are not the message they should be: what is wrong with them."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from scheduler.domain.violations import Violation

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_DEPTH = 20


def violation(raw: bytes, descriptor: Descriptor, whole: str = "request") -> Violation:
    """The field that keeps the bytes from being such a message: the first string that is not UTF-8, or the whole."""
    return _in_message(raw, descriptor, _DEPTH) or Violation(whole, f"cannot be read as {descriptor.full_name}")


def _in_message(raw: bytes, descriptor: Descriptor, depth: int) -> Violation | None:
    empty = Empty()
    try:
        # To a message without fields every field is unknown, and what is in it is not looked at.
        empty.ParseFromString(raw)
    except DecodeError:
        return None
    places: dict[int, int] = {}
    for unknown in UnknownFieldSet(empty):  # type: ignore[attr-defined]
        field = descriptor.fields_by_number.get(unknown.field_number)
        place = places[unknown.field_number] = places.get(unknown.field_number, -1) + 1
        if field is not None and unknown.wire_type == _LENGTH_DELIMITED and depth:
            path = f"{field.name}[{place}]" if field.is_repeated else field.name
            if found := _in_field(unknown.data, field, path, depth):
                return found
    return None


def _in_field(data: bytes, field: FieldDescriptor, path: str, depth: int) -> Violation | None:
    if field.message_type is not None:
        found = _in_message(data, field.message_type, depth - 1)
        return found.within(path) if found else None
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            data.decode()
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
        if field is None or unknown.wire_type not in (_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32):
            continue
        parts += _varint(unknown.field_number << 3 | unknown.wire_type)
        if unknown.wire_type == _LENGTH_DELIMITED:
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
