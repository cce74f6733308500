"""What typed definitions make of JSON values, and back.

Dataclasses, TypedDicts, enums and plain types are read here. Classes of pydantic and msgspec are read by their own
libraries, which are imported only when such a class is met: who uses neither needs neither.
"""

import dataclasses
import types
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    Protocol,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from taskyard._foreign import MsgspecShape, PydanticShape, is_msgspec, is_pydantic
from taskyard._misfit import Misfit


class Shape(Protocol):
    """One type's values. Both raise `Misfit`, which says where in the value."""

    def load(self, value: Any) -> Any:
        """The typed value of a JSON value."""

    def dump(self, value: Any) -> Any:
        """What JSON can express of a typed value."""


def shape_of(hint: Any) -> Shape:
    """How values of a type hint are read and written. Raises TypeError for a type that JSON has no form of."""
    return _find(hint, {})


_Known = dict[Any, "Record"]
"""Records on the way: one may hold others of its own class."""


def _find(hint: Any, known: _Known) -> Shape:
    while (inner := _unwrapped(hint)) is not hint:
        hint = inner
    if hint in (Any, object):
        return Anything()
    if hint in (None, types.NoneType):
        return Plain(types.NoneType)
    if isinstance(hint, type) and (found := _of_class(hint, known)) is not None:
        return found
    if (found := _of_alias(get_origin(hint) or hint, get_args(hint), known)) is not None:
        return found
    raise TypeError(f"a task's input or output can't be {_name(hint)}: JSON has no form of it that Taskyard knows")


def _unwrapped(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return get_args(hint)[0]
    if isinstance(hint, NewType):
        return hint.__supertype__
    return getattr(hint, "__value__", hint) if type(hint).__name__ == "TypeAliasType" else hint


def _of_class(cls: type, known: _Known) -> Shape | None:
    if is_pydantic(cls):
        return PydanticShape(cls)
    if is_msgspec(cls):
        return MsgspecShape(cls)
    if get_origin(cls) is not None:
        return None
    if cls in _PLAIN:
        return Plain(cls)
    if cls in _WRITTEN:
        return Written(cls, _WRITTEN[cls])
    if issubclass(cls, Enum):
        return Enumeration(cls)
    if is_typeddict(cls) or dataclasses.is_dataclass(cls):
        return _record(cls, known)
    return None


def _of_alias(origin: Any, arguments: tuple[Any, ...], known: _Known) -> Shape | None:
    if origin in (Union, types.UnionType):
        return Choice([_find(argument, known) for argument in arguments], " or ".join(map(_name, arguments)))
    if origin is Literal:
        return OneOf(arguments)
    if origin is tuple and arguments and arguments[-1] is not ...:
        return Row([_find(argument, known) for argument in arguments])
    if origin in _LISTS:
        return Items(_LISTS[origin], _find(arguments[0] if arguments else Any, known))
    if origin in (dict, Mapping):
        key, value = arguments or (str, Any)
        return Table(_find(value, known)) if key is str else None
    return None


def _record(cls: type, known: _Known) -> "Record":
    if cls in known:
        return known[cls]
    hints = get_type_hints(cls)
    record: Record = TypedRecord(cls) if is_typeddict(cls) else DataRecord(cls)
    known[cls] = record
    record.fields = {name: _find(hints[name], known) for name in record.names}
    return record


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint).removeprefix("typing.")


_SAID: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
}
_STRUCTURES: dict[type, str] = {dict: "an object", list: "a list"}
_PLAIN = frozenset(_SAID)
_WRITTEN: dict[type, Callable[[str], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    uuid.UUID: uuid.UUID,
}
_LISTS: dict[Any, type] = {list: list, tuple: tuple, Sequence: list}


def _kind(value: object) -> str:
    """How a value that does not fit is called, without showing it: it may be large, or nobody's business."""
    return _SAID.get(type(value)) or _STRUCTURES.get(type(value)) or type(value).__name__


class Anything:
    """Any JSON value."""

    def load(self, value: Any) -> Any:
        """The value."""
        return value

    dump = load


class Plain:
    """One of JSON's own types. A whole number is a number, too; true is none."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def load(self, value: Any) -> Any:
        """The value."""
        if type(value) is self._kind:
            return value
        if self._kind is float and type(value) is int:
            return float(value)
        raise Misfit(f"must be {_SAID[self._kind]}, got {_kind(value)}")

    def dump(self, value: Any) -> Any:
        """The value; one of a class derived from text or a number is let through."""
        if isinstance(value, self._kind) and (self._kind is bool or not isinstance(value, bool)):
            return value
        return self.load(value)


class Written:
    """What JSON has as text: times and UUIDs."""

    def __init__(self, kind: type, parse: Callable[[str], Any]) -> None:
        self._kind = kind
        self._parse = parse

    def load(self, value: Any) -> Any:
        """The text's meaning."""
        try:
            return self._parse(Plain(str).load(value))
        except Misfit:
            raise
        except ValueError:
            raise Misfit(f"must be the text of a {self._kind.__name__}") from None

    def dump(self, value: Any) -> Any:
        """The value, which the encoder writes."""
        return _instance(value, self._kind)


class Enumeration:
    """An enum's members, by their values."""

    def __init__(self, kind: type[Enum]) -> None:
        self._kind = kind

    def load(self, value: Any) -> Any:
        """The member."""
        try:
            return self._kind(value)
        except ValueError:
            raise Misfit(f"must be one of {', '.join(str(member.value) for member in self._kind)}") from None

    def dump(self, value: Any) -> Any:
        """The member's value."""
        return _instance(value, self._kind).value


class OneOf:
    """A Literal's values."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values

    def load(self, value: Any) -> Any:
        """The value."""
        if any(type(value) is type(known) and value == known for known in self._values):
            return value
        raise Misfit(f"must be one of {', '.join(map(str, self._values))}")

    dump = load


class Choice:
    """A Union: the first of its types that fits."""

    def __init__(self, shapes: Sequence[Shape], names: str) -> None:
        self._shapes = shapes
        self._names = names

    def load(self, value: Any) -> Any:
        """The value as the first type that takes it."""
        return self._first((shape.load for shape in self._shapes), value)

    def dump(self, value: Any) -> Any:
        """The value as the first type that takes it writes it."""
        return self._first((shape.dump for shape in self._shapes), value)

    def _first(self, ways: Iterable[Callable[[Any], Any]], value: Any) -> Any:
        misfits = []
        for way in ways:
            try:
                return way(value)
            except Misfit as misfit:
                misfits.append(misfit)
        # Of "Town or null" the reader wants to know what is wrong with the town.
        deep = [misfit for misfit in misfits if misfit.path]
        raise deep[0] if len(deep) == 1 else Misfit(f"must be {self._names}, got {_kind(value)}")


class Items:
    """A list, or a tuple of any length."""

    def __init__(self, kind: type, item: Shape) -> None:
        self._kind = kind
        self._item = item

    def load(self, value: Any) -> Any:
        """The items."""
        return self._kind(_each(self._item.load, _instance(value, list)))

    def dump(self, value: Any) -> Any:
        """The items."""
        return _each(self._item.dump, _instance(value, (list, tuple)))


class Row:
    """A tuple whose places have types of their own."""

    def __init__(self, places: Sequence[Shape]) -> None:
        self._places = places

    def load(self, value: Any) -> Any:
        """The row."""
        return tuple(self._each([place.load for place in self._places], _instance(value, list)))

    def dump(self, value: Any) -> Any:
        """The row."""
        return self._each([place.dump for place in self._places], _instance(value, (list, tuple)))

    def _each(self, ways: Sequence[Callable[[Any], Any]], values: Sequence[Any]) -> list[Any]:
        if len(values) != len(ways):
            raise Misfit(f"must have {len(ways)} items, got {len(values)}")
        return [_at(f"[{place}]", way, value) for place, (way, value) in enumerate(zip(ways, values, strict=True))]


class Table:
    """A dict with text for keys."""

    def __init__(self, value: Shape) -> None:
        self._value = value

    def load(self, value: Any) -> Any:
        """The dict."""
        return {key: _at(f".{key}", self._value.load, item) for key, item in _instance(value, dict).items()}

    def dump(self, value: Any) -> Any:
        """The dict."""
        return {key: _at(f".{key}", self._value.dump, item) for key, item in _instance(value, Mapping).items()}


class Record(ABC):
    """Named fields. Those that it does not know are left out: they are of a newer program."""

    def __init__(self, cls: type, names: Iterable[str], required: Iterable[str]) -> None:
        self.cls = cls
        self.names = tuple(names)
        self._required = frozenset(required)
        self.fields: dict[str, Shape] = {}

    @abstractmethod
    def load(self, value: Any) -> Any:
        """The record."""

    @abstractmethod
    def dump(self, value: Any) -> Any:
        """Its fields."""

    def _loaded(self, value: Any) -> dict[str, Any]:
        given = self._complete(value)
        return {name: _at(f".{name}", shape.load, given[name]) for name, shape in self.fields.items() if name in given}

    def _complete(self, value: Any) -> dict[str, Any]:
        given: dict[str, Any] = _instance(value, dict)
        if missing := self._required - given.keys():
            raise Misfit("is missing", f".{min(missing)}")
        return given


class DataRecord(Record):
    """A dataclass: the fields that its constructor takes."""

    def __init__(self, cls: type) -> None:
        fields = [field for field in dataclasses.fields(cls) if field.init]
        nothing = dataclasses.MISSING
        bare = [field for field in fields if field.default is nothing and field.default_factory is nothing]
        super().__init__(cls, [field.name for field in fields], [field.name for field in bare])

    def load(self, value: Any) -> Any:
        """The object. What its own checks raise as ValueError is a misfit, too."""
        fields = self._loaded(value)
        try:
            return self.cls(**fields)
        except ValueError as error:
            raise Misfit(str(error)) from error

    def dump(self, value: Any) -> Any:
        """Its fields."""
        _instance(value, self.cls)
        return {name: _at(f".{name}", shape.dump, getattr(value, name)) for name, shape in self.fields.items()}


class TypedRecord(Record):
    """A TypedDict."""

    def __init__(self, cls: Any) -> None:
        super().__init__(cls, cls.__required_keys__ | cls.__optional_keys__, cls.__required_keys__)

    def load(self, value: Any) -> Any:
        """The dict."""
        return self._loaded(value)

    def dump(self, value: Any) -> Any:
        """The dict."""
        given = self._complete(value)
        if unknown := given.keys() - self.fields.keys():
            raise Misfit("is no field of it", f".{min(unknown)}")
        return {name: _at(f".{name}", self.fields[name].dump, item) for name, item in given.items()}


def _instance(value: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        return value
    told = {dict: "an object", Mapping: "an object", list: "a list", (list, tuple): "a list"}.get(kind)
    raise Misfit(f"must be {told or _name(kind)}, got {_kind(value)}")


def _each(way: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [_at(f"[{place}]", way, value) for place, value in enumerate(values)]


def _at(step: str, way: Callable[[Any], Any], value: Any) -> Any:
    try:
        return way(value)
    except Misfit as misfit:
        raise misfit.within(step) from misfit.__cause__
