"""Who stands for election, and what the keys of all candidates say about who leads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum

from taskyard_core.storage.etcd import KeyValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A dispatcher that can lead; `address` is where other processes reach it, as host:port.

    `term` is the number under which it leads, once that has begun.
    """

    dispatcher_id: str
    pid: int
    pod: str
    address: str
    term: int | None = None

    def to_json(self) -> bytes:
        """Return the value of the candidate's key."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Candidate:
        """Return the candidate that wrote `value`. Raises ValueError if no candidate did."""
        try:
            fields = json.loads(value)
            return cls(
                dispatcher_id=str(fields["dispatcher_id"]),
                pid=int(fields["pid"]),
                pod=str(fields["pod"]),
                address=str(fields["address"]),
                term=None if fields.get("term") is None else int(fields["term"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a candidate: {value!r}") from error


@dataclass(frozen=True, slots=True)
class LeaderRecord:
    """The candidate that leads, and the number of its term."""

    candidate: Candidate
    term: int

    @classmethod
    def from_item(cls, item: KeyValue) -> LeaderRecord:
        """Return the record for the leader's key. Raises ValueError if no candidate wrote it."""
        candidate = Candidate.from_json(item.value)
        return cls(candidate, candidate.term or item.create_revision)


class Standing(Enum):
    """Where one candidate stands."""

    UNKNOWN = "the candidates seen are older than this candidacy"
    WAITING = "another candidate came first"
    LEADING = "first of all candidates"
    GONE = "the candidate's key is gone"


def first(candidates: Mapping[str, KeyValue]) -> KeyValue | None:
    """Return the leader's key: the one created first."""
    return min(candidates.values(), key=lambda item: item.create_revision, default=None)


def standing(candidates: Mapping[str, KeyValue], revision: int, key: str, term: int) -> Standing:
    """Return where the candidacy `key`, created at revision `term`, stands among those at `revision`.

    A key that was created later can never come first, so what was LEADING at one revision leads
    until its key is gone.
    """
    if revision < term:
        return Standing.UNKNOWN
    own = candidates.get(key)
    if own is None or own.create_revision != term:
        return Standing.GONE
    return Standing.LEADING if first(candidates) == own else Standing.WAITING
