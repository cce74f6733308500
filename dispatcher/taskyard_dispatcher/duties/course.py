"""In which order the lanes are filled again: something of every lane first, then the rest by priority and age."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from taskyard_core.domain import lanes

ENTRIES = 5000
"""Most entries of one step."""
LANES = 50
"""Most lanes of one step."""

BEGINNING = "00000000-0000-0000-0000-000000000000"
"""Below the ids of all tasks."""


class Step(NamedTuple):
    """Pages to read: of each lane what comes after an id, at most `limit` each."""

    after: Mapping[str, str]
    limit: int


class Course:
    """Walks lanes page by page. A step that failed is simply asked for again."""

    def __init__(self, names: Iterable[str]) -> None:
        self._begun: dict[str, str] = {}
        # First a page of each lane, whose workers may do nothing else; then the rest, one priority after the other.
        self._rounds: deque[deque[str]] = deque([deque(sorted(names, key=lambda name: (-_priority(name), name)))])
        self._first = self._rounds[0]

    def step(self) -> Step | None:
        """What to read next; None when all is read."""
        while self._rounds and not self._rounds[0]:
            self._rounds.popleft()
        if not self._rounds:
            return None
        chosen = list(islice(self._rounds[0], LANES))
        return Step({name: self._begun.get(name, BEGINNING) for name in chosen}, ENTRIES // len(chosen))

    def done(self, step: Step, entries: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        """The step was read and published; a full page means that there may be more."""
        current = self._rounds[0]
        for name in step.after:
            current.popleft()
            page = entries.get(name, ())
            if len(page) == step.limit:
                self._begun[name] = page[-1][0]
                self._later(current, name).append(name)

    def _later(self, current: deque[str], name: str) -> deque[str]:
        if current is not self._first:
            return current
        last = self._rounds[-1]
        if last is self._first or (last and _priority(last[0]) != _priority(name)):
            self._rounds.append(deque())
        return self._rounds[-1]


def _priority(name: str) -> int:
    try:
        return lanes.parse(name).priority
    except ValueError:
        # Written by an SQL client past all checks: it comes last.
        return -1
