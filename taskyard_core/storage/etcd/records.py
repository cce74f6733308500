"""What stands in the keys in etcd, for those who write it and those who read it; and who leads by what stands there."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, TypeVar

import orjson

from taskyard_core.storage.etcd.access import KeyValue

_R = TypeVar("_R", bound="_Record")

_READ = {datetime: datetime.fromisoformat}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A JSON object with the names of the fields. What else is in there was written by a newer release."""

    def to_json(self) -> bytes:
        """The value of its key."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls: type[_R], value: bytes) -> _R:
        """The record that was written as `value`; raises ValueError if none was."""
        try:
            given = orjson.loads(value)
            kinds: dict[str, Any] = {field.name: field.type for field in fields(cls)}
            told = {name: kind for name, kind in kinds.items() if given.get(name) is not None}
            return cls(**{name: _READ.get(kind, kind)(given[name]) for name, kind in told.items()})
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not a {cls.__name__}: {value!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(_Record):
    """A dispatcher that can lead; `address` is where other processes reach it, as host:port.

    `term` is the number under which it leads, where that has begun and is not the create revision of its key.
    """

    dispatcher_id: str
    pid: int
    pod: str
    address: str
    term: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherRecord(_Record):
    """A dispatcher that is alive; addresses are host:port, `started_at` is in UTC."""

    dispatcher_id: str
    pid: int
    pod: str
    session_address: str
    http_address: str
    version: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry(_Record):
    """The dispatcher that a session's worker is connected to, since the hello of that generation."""

    dispatcher: str
    generation: int


def first(candidates: Iterable[KeyValue]) -> KeyValue | None:
    """The leader's key: the one created first."""
    return min(candidates, key=lambda item: item.create_revision, default=None)


def leader_of(candidates: Iterable[KeyValue]) -> Candidate | None:
    """Who leads, with the number of its term; raises ValueError if no candidate wrote the leader's key."""
    item = first(candidates)
    if item is None:
        return None
    leader = Candidate.from_json(item.value)
    return replace(leader, term=leader.term or item.create_revision)
