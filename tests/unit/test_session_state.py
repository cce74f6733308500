"""A worker's session as the dispatcher holds it, and the roster that is told of it."""

import ast
import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.claims import Claimed
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.sessions.outgoing import UNSENT_BYTES
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Phase, Running, Session

ROOT = Path(__file__).parents[2]
DISPATCHER = ROOT / "dispatcher/taskyard_dispatcher"
PAGE = ROOT / "docs/session-life.md"


def session(generation: int = 1, *, slots: int = 2, draining: bool = False) -> Session:
    return Session(
        id="s",
        generation=generation,
        runner=Runner("s", "w"),
        capabilities=Capabilities("default", frozenset(["x"])),
        slots=slots,
        draining=draining,
    )


def running(task: str, attempt: int = 1, payload: bytes = b"") -> Running:
    return Running(Claimed(task, attempt, "s", "default/q/x/5/", payload, None, 0, 0, None, None, 0.0), 0.0)


def test_each_of_those_who_ask_hears_of_what_ends_until_it_has_asked_enough() -> None:
    one = session()
    one.assign([running("a"), running("b")], [])
    with one.ended_meanwhile() as longer:
        with one.ended_meanwhile() as shorter:
            pass
        one.forget("a", 1)
    one.forget("b", 1)
    assert longer == {("a", 1)}
    assert shorter == set()


def test_whoever_is_on_a_stream_that_was_replaced_is_told_to_say_hello_again() -> None:
    # The worker gave its first hello up and is on the stream of its second; the first is answered last.
    roster, second, first = Roster(), session(2), session(1)
    roster.put(second)
    roster.put(first)

    assert not second.connected
    assert [frame.go_away for frame in second.frames()] == [True]
    assert first.connected


def test_whoever_is_on_a_stream_of_a_session_that_was_adopted_elsewhere_is_told_as_well() -> None:
    # The same with two dispatchers: the one that answers last has the session, and learns nothing of the worker.
    roster, here = Roster(), session(2)
    roster.put(here)
    roster.adopted_elsewhere("s")
    roster.adopted_elsewhere("never seen")

    assert not here.connected
    assert [frame.go_away for frame in here.frames()] == [True]
    assert roster.get("s") is None


def test_the_writer_is_told_of_all_that_is_to_be_sent() -> None:
    one, told = session(), 0
    one.assign([running("held")], [])

    def count() -> None:
        nonlocal told
        told += 1

    one.notify_writer(count)
    heartbeat = wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=7))
    effects = (
        lambda: one.assign([], [wire.Assignment(task_id="a")]),
        lambda: one.acknowledge([wire.ResultAck(task_id="b")]),
        lambda: one.stop([wire.Stop(task_id="c")]),
        lambda: one.interrupt(one.running["held"], wire.STOP_REASON_TIMEOUT),
        lambda: one.receive(heartbeat, 1.0),
        one.breathe,
        one.go_away,
        one.supersede,
    )
    for number, effect in enumerate(effects, 1):
        effect()
        assert told == number
    (frame,) = one.frames()
    assert [sent.task_id for sent in frame.assignments] == ["a"]
    assert [sent.task_id for sent in frame.acks] == ["b"]
    assert [sent.task_id for sent in frame.stops] == ["c", "held"]
    assert (frame.heartbeat.sequence, frame.go_away) == (7, True)
    assert one.frames() == [wire.DispatcherFrame()]


def test_an_attempt_is_told_to_stop_once_whatever_for_and_a_cancel_is_noted() -> None:
    one, held = session(), running("a")
    one.assign([held], [])
    assert one.interrupt(held, wire.STOP_REASON_TIMEOUT)
    assert not one.interrupt(held, wire.STOP_REASON_CANCELLED)
    assert held.cancel_requested
    assert [[stop.reason for stop in frame.stops] for frame in one.frames()] == [[wire.STOP_REASON_TIMEOUT]]


def test_a_drain_is_news_once() -> None:
    drain, one = wire.WorkerFrame(drain=True), session()
    assert [one.receive(drain, now) for now in (1.0, 2.0)] == [True, False]
    assert one.silence(5.0) == 3.0


def test_who_says_goodbye_is_given_nothing_while_what_it_reported_is_stored() -> None:
    one = session()
    assert one.receive(wire.WorkerFrame(goodbye=True), 1.0)
    assert (one.phase, one.free) == (Phase.DRAINING, 0)


def test_a_worker_that_does_not_read_is_given_no_more() -> None:
    one = session()
    one.assign([running("a", payload=b"x" * UNSENT_BYTES)], [])
    assert (one.full, one.free) == (True, 0)
    one.frames()
    assert one.sent()
    assert (one.full, one.free) == (False, 1)
    assert one.running["a"].task.payload == b""


class Life(RuleBasedStateMachine):
    """What streams, claims and outcomes do with a session, in every order; slots are reserved as `free` allows."""

    @initialize(slots=st.integers(1, 4), draining=st.booleans(), adopted=st.integers(0, 4))
    def hello(self, slots: int, draining: bool, adopted: int) -> None:
        self.session = session(slots=slots, draining=draining)
        self.roster = Roster()
        self.tasks = 0
        self.reserved = 0
        self.ended: set[tuple[str, int]] = set()
        self.former_phase = self.session.phase
        self.accepted: bool = False
        self.version = self.roster.version
        self.session.assign([self.task() for _ in range(min(adopted, slots))], [])
        self.roster.put(self.session)

    def task(self, payload: bytes = b"") -> Running:
        self.tasks += 1
        return running(f"t{self.tasks}", payload=payload)

    @precondition(lambda self: self.session.free > 0)
    @rule(data=st.data())
    def reserve(self, data: st.DataObject) -> None:
        """A read, or heads of tables."""
        assert self.session.phase is Phase.OPEN
        for _ in range(data.draw(st.integers(1, self.session.free))):
            self.session.reserve()
            self.reserved += 1

    @precondition(lambda self: self.reserved)
    @rule(data=st.data(), size=st.sampled_from([0, 0, UNSENT_BYTES]))
    def claimed(self, data: st.DataObject, size: int) -> None:
        """Some of what was reserved is won, even if the session accepts nothing more meanwhile."""
        count = data.draw(st.integers(1, self.reserved))
        won = [self.task(b"x" * size) for _ in range(data.draw(st.integers(0, count)))]
        self.session.assign(won, [wire.Assignment(task_id=held.task.task_id) for held in won])
        for _ in range(count):
            self.session.release()
        self.reserved -= count

    @precondition(lambda self: self.session.running)
    @rule(data=st.data(), attempt=st.integers(1, 2))
    def forget(self, data: st.DataObject, attempt: int) -> None:
        """An outcome is stored; perhaps of another attempt, perhaps once more."""
        task = data.draw(st.sampled_from(sorted(self.session.running)))
        before = len(self.session.running)
        for _ in range(2):
            self.session.forget(task, attempt)
        assert before - len(self.session.running) == (attempt == 1)

    @precondition(lambda self: self.session.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A worker reports; the same report may come again."""
        task = data.draw(st.sampled_from(sorted(self.session.running)))
        news = self.session.ends(task, 1)
        assert news != ((task, 1) in self.ended)
        self.ended.add((task, 1))
        assert not self.session.ends(task, 1)

    @rule()
    def write(self) -> None:
        self.session.frames()
        self.session.sent()
        assert not self.session.full

    @rule()
    def drain(self) -> None:
        was_open = self.session.phase is Phase.OPEN
        assert self.session.receive(wire.WorkerFrame(drain=True), 0.0) == was_open

    @rule()
    def supersede(self) -> None:
        self.session.supersede()

    @rule()
    def break_off(self) -> None:
        self.session.stream_ended()

    @rule()
    def goodbye(self) -> None:
        broken = self.session.phase is Phase.BROKEN
        self.session.leave()
        self.session.stream_ended()
        assert self.session.phase is (Phase.BROKEN if broken else Phase.LEFT)

    @rule(draining=st.booleans())
    def hello_again(self, draining: bool) -> None:
        """On another stream; the former session is looked at no more, but never accepts again."""
        former = self.session
        before = self.accepting() + self.roster.version
        self.session = session(former.generation + 1, slots=former.slots, draining=draining)
        self.session.assign([running(task) for task in former.running], [])
        self.roster.put(self.session)
        assert not former.accepting
        assert self.roster.version - before == (not draining)
        self.version, self.accepted = self.roster.version, self.accepting()
        self.former_phase, self.reserved = self.session.phase, 0
        former.stream_ended()
        former.supersede()
        self.ended.clear()
        assert self.roster.version == self.version

    @rule()
    def give_up(self) -> None:
        self.roster.remove(self.session)
        assert not self.session.connected

    def accepting(self) -> bool:
        return self.roster.accepting() == [self.session]

    @invariant()
    def slots_are_never_filled_twice(self) -> None:
        assert len(self.session.running) + self.reserved <= self.session.slots

    @invariant()
    def tasks_are_given_while_it_is_open_only(self) -> None:
        assert self.session.accepting == (self.session.phase is Phase.OPEN)
        if self.session.phase is not Phase.OPEN:
            assert self.session.free == 0
        elif not self.session.full:
            assert self.session.free == self.session.slots - len(self.session.running) - self.reserved

    @invariant()
    def phases_go_on(self) -> None:
        assert self.session.phase.value >= self.former_phase.value
        self.former_phase = self.session.phase

    @invariant()
    def the_version_rises_exactly_when_acceptance_changes(self) -> None:
        assert self.roster.version - self.version == (self.accepting() != self.accepted)
        self.version, self.accepted = self.roster.version, self.accepting()


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def test_only_a_session_changes_itself() -> None:
    # Others have an id, and slots, of their own.
    own = {*vars(session()), *Running.__slots__} - {"id", "slots"}
    assert {"phase", "generation", "running", "stopping"} <= own
    for path in sorted(DISPATCHER.rglob("*.py")):
        if path.parent.name == "sessions":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [getattr(node, "target", None)]
            for changed in targets:
                target = changed.value if isinstance(changed, ast.Subscript) else changed
                if isinstance(target, ast.Attribute) and target.attr in own:
                    assert ast.unparse(target.value) == "self", f"{path.name}:{target.lineno}: {ast.unparse(target)}"


@pytest.mark.parametrize("phase", Phase)
def test_the_page_says_of_each_phase_what_the_code_does(phase: Phase) -> None:
    page = PAGE.read_text()
    accepting, connected = re.findall(rf"^\| `{phase.name}` \| (yes|no) \| (yes|no) \|", page, re.MULTILINE)[0]
    assert (accepting == "yes", connected == "yes") == (phase.accepting, phase.connected)


def test_the_diagram_has_every_way_from_phase_to_phase_and_no_other() -> None:
    diagram = PAGE.read_text().partition("stateDiagram-v2")[2].partition("```")[0]
    drawn = set(re.findall(r"^ *(\w+) --> (\w+)", diagram, re.MULTILINE))
    ways = {
        Phase.DRAINING: Session.drain,
        Phase.SUPERSEDED: Session.supersede,
        Phase.BROKEN: Session.stream_ended,
        Phase.LEFT: Session.leave,
    }
    gone = set()
    for begin in Phase:
        for way in ways.values():
            one = session()
            if begin in ways:
                ways[begin](one)
            way(one)
            gone.add((begin.name, one.phase.name))
    assert drawn == {(a, b) for a, b in gone if a != b}
