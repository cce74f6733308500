"""Dispatchers as the task store knows them: who lately answered for its sessions, and how many it has."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherNote:
    """What a dispatcher writes down of itself; `accepting`: workers may be sent to it; `leading`: its term, or 0."""

    id: str
    pod: str
    address: str
    registered: bool
    leading: int = 0
    accepting: bool
    sessions: int
    slots: int


class Peer(NamedTuple):
    """Another dispatcher, as it was `age` seconds ago."""

    id: str
    registered: bool
    accepting: bool
    sessions: int
    age: float
