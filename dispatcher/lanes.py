"""Which lanes may hold tasks, and which sessions could run them."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from dispatcher.sessions import Roster, Session
from scheduler.domain import lanes
from scheduler.domain.lanes import Lane
from scheduler.domain.violations import Violation


class Group(NamedTuple):
    """Lanes that the very same sessions serve, and their free slots."""

    lanes: list[Lane]
    sessions: list[Session]
    free: int


class LaneBoard:
    """Known lanes, and those among them that may hold something to read.

    A lane becomes ready by a hint or by the poll, and is ready no more once a read found less than it asked for.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        # In the order in which they became so, which is the same wherever the same happens.
        self._known: dict[str, None] = {}
        self._ready: dict[str, None] = {}
        self._serving: dict[str, tuple[Session, ...]] = {}
        self._roster_version = -1

    def learn(self, names: Iterable[str]) -> None:
        """These lanes may hold tasks now."""
        learned = dict.fromkeys(names)
        self._known |= learned
        self._ready |= learned

    def replace(self, names: Collection[str]) -> None:
        """These are all lanes there are; any of them may hold tasks."""
        # What was hinted since the list was read stays ready, although the list does not have it.
        self._ready |= dict.fromkeys(sorted(names))
        self._known = dict(self._ready)
        self._serving = {name: served for name, served in self._serving.items() if name in self._known}

    def wake_all(self) -> None:
        """Any known lane may hold tasks: hints may have been missed, or a new session serves other lanes."""
        self._ready |= self._known

    def take(self, names: Iterable[str]) -> None:
        """A read of these lanes begins; a hint from now on makes them ready again."""
        for name in names:
            self._ready.pop(name, None)

    def served(self) -> list[str]:
        """Known lanes that some session here serves."""
        return [name for name in self._known if self._sessions(name)]

    def free_slots(self) -> int:
        """Free slots of all sessions here."""
        return sum(max(0, session.free) for session in self._roster)

    def groups(self) -> list[Group]:
        """Ready lanes by the sessions that serve them, where slots are free; the most particular lanes come first.

        A worker that alone can run some tasks is so kept for them before it gets what others could run as well.
        """
        by_sessions: dict[tuple[Session, ...], list[Lane]] = defaultdict(list)
        for name in self._ready:
            if sessions := self._sessions(name):
                by_sessions[sessions].append(lanes.parse(name))
        groups = []
        for sessions, served in by_sessions.items():
            able = [session for session in sessions if session.free > 0]
            if able:
                groups.append(Group(served, able, sum(session.free for session in able)))
        return sorted(groups, key=lambda group: len(group.sessions))

    def _sessions(self, name: str) -> tuple[Session, ...]:
        if self._roster_version != self._roster.version:
            self._serving.clear()
            self._roster_version = self._roster.version
        if name not in self._serving:
            self._serving[name] = tuple(s for s in self._roster.accepting() if _serves(s, name))
        return self._serving[name]


def _serves(session: Session, name: str) -> bool:
    try:
        return session.capabilities.serve(lanes.parse(name))
    except (Violation, ValueError):
        # A lane that an SQL client filled with a selector that cannot be read: it fits nobody.
        return False
