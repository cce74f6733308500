"""Messages as plain documents, which cases are written in, and back."""

import base64
import json
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

_JSON_FIELDS = frozenset({"payload", "result"})
"""Fields of bytes that hold JSON."""
_AS_TEXT = frozenset({"google.protobuf.Duration", "google.protobuf.Timestamp"})


class Json:
    """JSON as it was sent, and what it says."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        try:
            self.text = raw.decode()
            self.value = json.loads(self.text) if raw else None
            self.valid = True
        except (ValueError, RecursionError):
            self.text = raw.decode(errors="replace")
            self.value = None
            self.valid = False

    def __repr__(self) -> str:
        return self.text if len(self.text) < 200 else f"{self.text[:200]}… ({len(self.raw)} bytes)"


def document(message: Message) -> dict[str, Any]:
    """The fields that are set, by name; enums as words, times and durations as text, JSON as `Json`."""
    return {field.name: _shown(field, value) for field, value in message.ListFields()}


def _shown(field: FieldDescriptor, value: Any) -> Any:
    if _is_map(field):
        return dict(value)
    if field.is_repeated:
        return [_shown_one(field, item) for item in value]
    return _shown_one(field, value)


def _shown_one(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return value.ToJsonString() if field.message_type.full_name in _AS_TEXT else document(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name.removeprefix(_prefix(field.enum_type))
    if isinstance(value, bytes):
        return Json(value) if field.name in _JSON_FIELDS else base64.b64encode(value).decode()
    return value


def build(message: Message, content: dict[str, Any]) -> Message:
    """Fill a message from a document. Raises ValueError for a field that it does not have.

    JSON is written compactly; `{$raw: text}` is sent as it stands. `$unknown: true` adds a field that no version has.
    """
    for name, value in content.items():
        if name == "$unknown":
            # Field 9999, a varint: what a later version may send.
            message.MergeFromString(b"\xf8\xf0\x04\x01")
            continue
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{message.DESCRIPTOR.name} has no field {name!r}")
        try:
            _fill(message, cast("FieldDescriptor", field), value)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{message.DESCRIPTOR.name}.{name}: {error}") from error
    return message


def _fill(message: Message, field: FieldDescriptor, value: Any) -> None:
    if _is_map(field):
        getattr(message, field.name).update(value)
    elif field.is_repeated:
        target = getattr(message, field.name)
        for item in value:
            if field.message_type is not None:
                build(target.add(), item)
            else:
                target.append(_plain(field, item))
    elif field.message_type is None:
        setattr(message, field.name, _plain(field, value))
    elif field.message_type.full_name in _AS_TEXT:
        getattr(message, field.name).FromJsonString(value)
    else:
        part = getattr(message, field.name)
        part.SetInParent()
        build(part, value)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return (
            value if isinstance(value, int) else field.enum_type.values_by_name[_prefix(field.enum_type) + value].number
        )
    if field.type == FieldDescriptor.TYPE_BYTES:
        return json_bytes(value) if field.name in _JSON_FIELDS else base64.b64decode(value)
    return value


def json_bytes(value: Any) -> bytes:
    """A value of a case as the bytes of its JSON."""
    if isinstance(value, dict) and value.keys() == {"$raw"}:
        return str(value["$raw"]).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def check(descriptor: Descriptor, pattern: Any) -> None:
    """Raise ValueError if a pattern names a field that such messages do not have."""
    if not isinstance(pattern, dict):
        return
    for name, wanted in pattern.items():
        if name.startswith("$"):
            continue
        field = descriptor.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{descriptor.name} has no field {name!r}")
        if field.message_type is None or _is_map(field) or field.message_type.full_name in _AS_TEXT:
            continue
        for item in wanted if isinstance(wanted, list) else [wanted]:
            check(field.message_type, item)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _prefix(enum: EnumDescriptor) -> str:
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.name).strip("_")
    return f"{words.upper()}_"
