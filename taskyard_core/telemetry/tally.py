"""Counts per (namespace, queue, type), bounded however many names clients invent."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from taskyard_core.domain import lanes
from taskyard_core.domain.task import Outcome, TaskState
from taskyard_core.telemetry.distribution import SECONDS, Distribution

OTHER = "other"
"""Stands for every name beyond the limit."""

_LABELS = ("namespace", "queue", "type")
_REMEMBERED_LANES = 16384
_Name = TypeVar("_Name")


class Tally:
    """Everything counted under one set of labels."""

    __slots__ = ("deduplicated", "ends", "labels", "moves", "ran", "started", "submitted", "waited")

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.submitted = 0
        self.deduplicated = 0
        self.started = 0
        self.ends: defaultdict[tuple[Outcome | None, TaskState], int] = defaultdict(int)
        """Attempts by how they ended and what became of the task."""
        self.moves: defaultdict[tuple[TaskState, TaskState], int] = defaultdict(int)
        """Changes of state without an attempt."""
        self.waited = Distribution(SECONDS)
        self.ran = Distribution(SECONDS)

    def taken_in(self) -> bool:
        """Whether this process accepts such tasks."""
        return self.submitted + self.deduplicated > 0

    def run(self) -> bool:
        """Whether this process has anything to do with attempts at such tasks."""
        return self.started > 0 or len(self.ends) > 0


class Tallies:
    """Finds the tally of a lane; at most `limit` distinct queues, types and pairs of them get one of their own.

    Beyond that a type counts as `other` within its queue, and a queue as `other` altogether, so there are at most
    2 * limit + 1 tallies.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._types: set[str] = set()
        self._queues: set[tuple[str, str]] = set()
        self._tallies: dict[tuple[str, str, str], Tally] = {}
        self._pairs = 0
        self._by_lane: dict[str, Tally] = {}

    def of_lane(self, name: str) -> Tally:
        """The tally of the lane with that name."""
        tally = self._by_lane.get(name)
        if tally is None:
            lane = lanes.told(name)
            tally = self.of(lane.namespace, lane.queue, lane.type)
            if len(self._by_lane) >= _REMEMBERED_LANES:
                self._by_lane.clear()
            self._by_lane[name] = tally
        return tally

    def of(self, namespace: str, queue: str, type: str) -> Tally:
        """The tally of tasks of that type in that queue."""
        tally = self._tallies.get((namespace, queue, type))
        return tally if tally is not None else self._bounded(namespace, queue, type)

    def all(self) -> list[Tally]:
        """Every tally so far; safe to call from another thread."""
        return list(self._tallies.values())

    def _bounded(self, namespace: str, queue: str, type: str) -> Tally:
        key = self._key(namespace, queue, type)
        tally = self._tallies.get(key)
        if tally is None:
            self._pairs += key[2] != OTHER
            tally = self._tallies[key] = Tally(dict(zip(_LABELS, key, strict=True)))
        return tally

    def _key(self, namespace: str, queue: str, type: str) -> tuple[str, str, str]:
        if not _admit(self._queues, (namespace, queue), self._limit):
            return OTHER, OTHER, OTHER
        if self._pairs >= self._limit or not _admit(self._types, type, self._limit):
            return namespace, queue, OTHER
        return namespace, queue, type


def _admit(names: set[_Name], name: _Name, limit: int) -> bool:
    if name in names:
        return True
    if len(names) >= limit:
        return False
    names.add(name)
    return True
