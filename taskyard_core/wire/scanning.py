"""Looking at a message's bytes before they are parsed, in steps that can be bounded.

A parser makes an object of every field that it finds, and a field may take two bytes.
"""

from collections.abc import Iterator
from typing import NamedTuple

LENGTH_DELIMITED = 2
GROUPS = (3, 4)
"""Where one begins, and where it ends."""
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5


class Field(NamedTuple):
    """One field as it is on the wire; `start` and `end` are where its value is."""

    number: int
    wire_type: int
    start: int
    end: int


def fields(raw: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of the message in that part of the bytes; ends early where the bytes are no message.

    What is in a group counts as a field beside it.
    """
    at, end = start, len(raw) if end is None else end
    try:
        while at < end:
            tag, at = _varint(raw, at)
            wire_type, begin = tag & 7, at
            if wire_type == LENGTH_DELIMITED:
                length, begin = _varint(raw, at)
                at = begin + length
            elif wire_type == _VARINT:
                _, at = _varint(raw, at)
            elif wire_type in (_FIXED32, _FIXED64):
                at += 4 if wire_type == _FIXED32 else 8
            elif wire_type not in GROUPS:
                return
            if at > end:
                return
            yield Field(tag >> 3, wire_type, begin, at)
    except IndexError:
        return


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    byte = raw[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while shift < 70:
        at += 1
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise IndexError(at)
