"""Which lanes may hold tasks, and which sessions could run them."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from taskyard_core.domain.lane_index import LaneIndex
from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.violations import Violation
from taskyard_dispatcher.dispatch.planning import Credits
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session

READ_LANES = 100
"""Most lanes of one priority in one read; the others have their turn in the reads that follow at once."""
KNOWN_LANES = 100_000
"""Most lanes that are remembered, several times what may be made. Beyond that those that nobody here serves are not."""

_Key = tuple[str, tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]
"""Namespace, types, queues and labels."""


class Group(NamedTuple):
    """Lanes that the very same sessions serve, as many as one read takes, and what their priorities are owed.

    Of each priority the lane is first that has waited longest for its turn.
    """

    lanes: list[Lane]
    sessions: list[Session]
    credits: Credits


class _Crew:
    """Sessions that said the very same of themselves, and the lanes that they serve."""

    __slots__ = ("key", "labels", "lanes", "number", "sessions")

    def __init__(self, number: int, key: _Key) -> None:
        self.number = number
        self.key = key
        self.labels = dict(key[3])
        self.sessions: dict[str, Session] = {}
        self.lanes: dict[str, None] = {}


class _Together:
    """Crews that serve the same lanes, and which of those may hold something, by priority."""

    __slots__ = ("credits", "crews", "lanes", "numbers", "ready")

    def __init__(self, numbers: tuple[int, ...], crews: tuple[_Crew, ...], credits: Credits) -> None:
        self.numbers = numbers
        self.crews = crews
        self.credits = credits
        self.lanes = 0
        self.ready: dict[int, dict[str, Lane]] = {}

    def wake(self, lane: Lane) -> None:
        self.ready.setdefault(lane.priority, {})[lane.name] = lane

    def rest(self, lane: Lane) -> bool:
        """Whether it was ready."""
        waiting = self.ready.get(lane.priority)
        if waiting is None or waiting.pop(lane.name, None) is None:
            return False
        if not waiting:
            del self.ready[lane.priority]
        return True

    def group(self, turns: Mapping[str, int]) -> Group | None:
        able = [session for crew in self.crews for session in crew.sessions.values() if session.free > 0]
        if not able:
            return None
        chosen = [lane for waiting in self.ready.values() for lane in islice(waiting.values(), READ_LANES)]
        return Group(sorted(chosen, key=lambda lane: turns[lane.name]), able, self.credits)


class LaneBoard:
    """Known lanes, and those among them that may hold something to read.

    A lane becomes ready by a hint or by the poll, and is ready no more once a read found less than it asked for. What
    nobody here serves is only remembered, for sessions that come later: no hint, read or arrival meets it.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._roster_version = -1
        self._index = LaneIndex()
        # All in the order in which they came, which is the same wherever the same happens.
        self._known: dict[str, int] = {}
        self._walk = 0
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._serving: dict[str, _Together] = {}
        self._together: dict[tuple[int, ...], _Together] = {}
        self._crews: dict[_Key, _Crew] = {}
        self._crew_of: dict[str, tuple[Session, _Crew]] = {}
        self._numbers = 0

    @property
    def known(self) -> int:
        """How many lanes are remembered."""
        return len(self._known)

    @property
    def met(self) -> int:
        """Lanes that were compared with a session so far."""
        return self._index.met

    def learn(self, names: Iterable[str]) -> None:
        """These lanes may hold tasks now."""
        self._follow_roster()
        for name in names:
            if name in self._known:
                self._known[name] = self._walk
            else:
                self._remember(name)
            if name in self._serving:
                self._wake(name)

    def walked(self) -> None:
        """All lanes there are were learned, one after the other, since this was last called: what was not is gone."""
        for name in [name for name, seen in self._known.items() if seen < self._walk]:
            self._forget(name)
        self._walk += 1

    def wake_all(self) -> None:
        """Any lane that is served here may hold tasks: hints may have been missed."""
        self._follow_roster()
        for name in self._serving:
            self._wake(name)

    def served(self, limit: int) -> list[str]:
        """Known lanes that some session here serves, so many of them; they take turns."""
        self._follow_roster()
        names = list(islice(self._serving, limit))
        for name in names:
            self._serving[name] = self._serving.pop(name)
        return names

    def take(self, names: Iterable[str]) -> None:
        """A read of these lanes begins; a hint from now on makes them ready again."""
        for name in names:
            if together := self._serving.get(name):
                together.rest(self._index.add(name))

    def end_turns(self, names: Iterable[str]) -> None:
        """These lanes have their turn, in this order: all others come before they have the next."""
        for name in names:
            if name in self._known:
                self._end_turn(name)

    def sessions(self, name: str) -> list[Session]:
        """Sessions with a free slot that serve the lane."""
        self._follow_roster()
        together = self._serving.get(name)
        crews = together.crews if together else ()
        return [session for crew in crews for session in crew.sessions.values() if session.free > 0]

    def free_sessions(self) -> list[Session]:
        """All sessions here with a free slot."""
        return [session for session in self._roster if session.free > 0]

    def groups(self) -> list[Group]:
        """Ready lanes by the sessions that serve them, where slots are free; the most particular lanes come first.

        A worker that alone can run some tasks is so kept for them before it gets what others could run as well.
        """
        self._follow_roster()
        ready = [together.group(self._turns) for together in self._together.values() if together.ready]
        return sorted((group for group in ready if group), key=lambda group: len(group.sessions))

    def _remember(self, name: str) -> None:
        try:
            lane = self._index.add(name)
        except (Violation, ValueError):
            # A lane that an SQL client filled with a selector that cannot be read: it fits nobody.
            return
        crews = tuple(crew for crew in self._crews.values() if self._index.serves(name, *crew.key[:3], crew.labels))
        if not crews and len(self._known) >= KNOWN_LANES:
            self._index.discard(lane.name)
            return
        self._known[name] = self._walk
        self._end_turn(name)
        for crew in crews:
            crew.lanes[name] = None
        self._serve(name, self._of(crews))

    def _forget(self, name: str) -> None:
        del self._known[name], self._turns[name]
        if together := self._serving.get(name):
            for crew in together.crews:
                del crew.lanes[name]
        self._serve(name, None)
        self._index.discard(name)

    def _end_turn(self, name: str) -> None:
        # So does a new one begin: else whoever makes lanes would always be first.
        self._turn += 1
        self._turns[name] = self._turn

    def _wake(self, name: str) -> None:
        self._serving[name].wake(self._index.add(name))

    def _of(self, crews: tuple[_Crew, ...], former: _Together | None = None) -> _Together | None:
        """Where these crews are together; None if there are none. What was owed among the former ones is owed on."""
        if not crews:
            return None
        numbers = tuple(crew.number for crew in crews)
        together = self._together.get(numbers)
        if together is None:
            together = self._together[numbers] = _Together(numbers, crews, Credits(former.credits if former else None))
        return together

    def _serve(self, name: str, together: _Together | None) -> None:
        """From now on these crews serve the lane; one that is known to be empty stays so."""
        ready = True
        if former := self._serving.pop(name, None):
            ready = former.rest(self._index.add(name))
            former.lanes -= 1
            if not former.lanes:
                del self._together[former.numbers]
        if together is None:
            return
        self._serving[name] = together
        together.lanes += 1
        if ready:
            together.wake(self._index.add(name))

    def _follow_roster(self) -> None:
        """Sessions that came or went since the last look. One of a new kind meets the lanes that it may serve."""
        if self._roster_version == self._roster.version:
            return
        self._roster_version = self._roster.version
        now = {session.id: session for session in self._roster.accepting()}
        for id, (session, crew) in list(self._crew_of.items()):
            if now.get(id) is not session:
                del self._crew_of[id], crew.sessions[id]
        for id, session in now.items():
            if id not in self._crew_of:
                crew = self._crew(_key(session.capabilities))
                crew.sessions[id] = session
                self._crew_of[id] = session, crew
        for crew in [crew for crew in self._crews.values() if not crew.sessions]:
            self._dismiss(crew)

    def _crew(self, key: _Key) -> _Crew:
        crew = self._crews.get(key)
        if crew is None:
            crew = self._crews[key] = _Crew(self._numbers, key)
            self._numbers += 1
            # Found once for all lanes that go the same way: there may be as many crews as sessions.
            ways: dict[_Together | None, _Together | None] = {}
            for lane in list(self._index.served_by(*key[:3], crew.labels)):
                former = self._serving.get(lane.name)
                if former not in ways:
                    ways[former] = self._of((*(former.crews if former else ()), crew), former)
                crew.lanes[lane.name] = None
                self._serve(lane.name, ways[former])
        return crew

    def _dismiss(self, crew: _Crew) -> None:
        del self._crews[crew.key]
        ways: dict[_Together, _Together | None] = {}
        for name in crew.lanes:
            former = self._serving[name]
            if former not in ways:
                ways[former] = self._of(tuple(other for other in former.crews if other is not crew), former)
            self._serve(name, ways[former])


def _key(capabilities: Capabilities) -> _Key:
    return (
        capabilities.namespace,
        tuple(sorted(capabilities.types)),
        tuple(sorted(capabilities.queues)),
        tuple(sorted(capabilities.labels.items())),
    )
