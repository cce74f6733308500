"""Which lanes are read for which sessions."""

import pytest

from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_dispatcher.dispatch import board as board_module
from taskyard_dispatcher.dispatch.board import READ_LANES, LaneBoard
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session


def session(name: str, *, slots: int = 10, types: tuple[str, ...] = ("x",), **labels: str) -> Session:
    capabilities = Capabilities("default", frozenset(types), frozenset(), labels)
    return Session(
        id=name, generation=1, runner=Runner(name, name), capabilities=capabilities, slots=slots, draining=False
    )


def lane(selector: str = "", type_: str = "x", priority: int = 5) -> str:
    return Lane("default", "q", type_, priority, selector).name


def board(*sessions: Session) -> LaneBoard:
    roster = Roster()
    for one in sessions:
        roster.put(one)
    return LaneBoard(roster)


def test_lanes_are_grouped_by_who_can_serve_them_the_most_particular_first() -> None:
    plain, ssd = session("plain"), session("ssd", io="ssd")
    lanes = board(plain, ssd)
    lanes.learn([lane(), lane(priority=9), lane("io=ssd")])
    groups = lanes.groups()
    assert [[one.id for one in group.sessions] for group in groups] == [["ssd"], ["plain", "ssd"]]
    assert {one.priority for one in groups[1].lanes} == {5, 9}
    assert [sum(session.free for session in group.sessions) for group in groups] == [10, 20]


def test_lanes_that_nobody_serves_and_full_sessions_are_left_out() -> None:
    full = session("full", slots=1)
    full.reserve()
    lanes = board(full)
    lanes.learn([lane(), lane(type_="y")])
    assert lanes.groups() == []
    assert lanes.served(10) == [lane()]


def test_a_read_lane_is_ready_again_only_after_a_hint() -> None:
    lanes = board(session("a"))
    lanes.learn([lane()])
    lanes.take([lane()])
    assert lanes.groups() == []
    lanes.learn([lane()])
    assert len(lanes.groups()) == 1


def test_a_lane_that_is_gone_is_forgotten_but_not_one_that_was_hinted_meanwhile() -> None:
    lanes = board(session("a"))
    lanes.learn([lane(priority=1), lane(priority=2)])
    lanes.walked()
    lanes.learn([lane(priority=1)])
    lanes.learn([lane(priority=3)])
    lanes.walked()
    assert {one.priority for one in lanes.groups()[0].lanes} == {1, 3}


def test_lanes_that_nobody_serves_cost_nothing_but_their_first_mention() -> None:
    lanes = board(*(session(f"s{number}", io="ssd", memory="4") for number in range(5)))
    dead = [lane(f"{term}host=h{number}") for number in range(1000) for term in ("", "io=ssd,", "memory>=1,")]
    lanes.learn([*dead, lane()])
    met = lanes.met
    for _ in range(100):
        lanes.learn([lane(), *dead])
        assert [len(group.lanes) for group in lanes.groups()] == [1]
        lanes.wake_all()
        lanes.take(lanes.served(1000))
    assert lanes.met == met


def test_a_session_that_arrives_meets_what_it_may_serve_and_few_others() -> None:
    roster = Roster()
    lanes = LaneBoard(roster)
    selectors = ("host=h{}", "io=ssd,host=h{}", "host in (a{0},b{0})", "memory>=1,host=h{}", "!gpu,host=h{}", "own{}")
    dead = [lane(selector.format(number)) for number in range(1000) for selector in selectors]
    others = [lane(type_=f"t{number}") for number in range(1000)]
    lanes.learn([*dead, *others, lane(), lane("io=ssd")])
    met = lanes.met
    for number in range(10):
        roster.put(session(f"s{number}", io="ssd", memory="4", pod=f"n{number}"))
        assert {one.name for group in lanes.groups() for one in group.lanes} == {lane(), lane("io=ssd")}
    assert lanes.met - met < 10 * 10


def test_a_read_takes_a_bounded_number_of_lanes_and_all_have_their_turn() -> None:
    lanes = board(session("a"))
    names = {lane(f"!no{number}", priority=number % 3) for number in range(3000)}
    lanes.learn(sorted(names))
    read: set[str] = set()
    while groups := lanes.groups():
        chosen = [one.name for group in groups for one in group.lanes]
        assert len(chosen) <= 3 * READ_LANES
        assert read.isdisjoint(chosen)
        lanes.take(chosen)
        read.update(chosen)
    assert read == names


def test_a_lane_that_was_not_emptied_waits_behind_the_others() -> None:
    lanes = board(session("a"))
    names = [lane(f"!no{number}") for number in range(2 * READ_LANES)]
    lanes.learn(names)
    first = [one.name for one in lanes.groups()[0].lanes]
    lanes.take(first)
    lanes.learn(first)
    assert [one.name for one in lanes.groups()[0].lanes] == names[READ_LANES:]


def test_served_lanes_take_turns() -> None:
    lanes = board(session("a"))
    lanes.learn([lane(f"!no{number}") for number in range(5)])
    assert {*lanes.served(2), *lanes.served(2), *lanes.served(1)} == {lane(f"!no{number}") for number in range(5)}


def test_a_worker_that_says_hello_again_keeps_what_is_ready() -> None:
    roster = Roster()
    roster.put(session("a", io="ssd"))
    lanes = LaneBoard(roster)
    lanes.learn([lane(), lane("io=ssd")])
    lanes.take([lane()])
    roster.put(session("a", io="ssd"))
    assert [one.selector for one in lanes.groups()[0].lanes] == ["io=ssd"]
    roster.put(session("b"))
    assert [one.selector for group in lanes.groups() for one in group.lanes] == ["io=ssd"]


def test_beyond_the_bound_only_what_is_served_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "KNOWN_LANES", 3)
    lanes = board(session("a"))
    lanes.learn([*(lane(f"host=h{number}") for number in range(10)), lane(), lane(priority=1)])
    assert lanes.known == 5
    assert len(lanes.groups()[0].lanes) == 2


def test_a_draining_or_disconnected_session_gets_nothing() -> None:
    roster = Roster()
    one = session("a")
    roster.put(one)
    lanes = LaneBoard(roster)
    lanes.learn([lane()])
    one.drain()
    assert lanes.groups() == []


def test_a_selector_that_cannot_be_read_fits_nobody() -> None:
    lanes = board(session("a"))
    lanes.learn([lane("=broken")])
    assert lanes.groups() == []
