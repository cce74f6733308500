"""Which lanes are read for which sessions."""

from dispatcher.lanes import LaneBoard
from dispatcher.sessions import Roster, Session
from scheduler.domain.lanes import Lane
from scheduler.domain.matching import Capabilities
from scheduler.telemetry import Runner


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
    assert [group.free for group in groups] == [10, 20]


def test_lanes_that_nobody_serves_and_full_sessions_are_left_out() -> None:
    full = session("full", slots=1)
    full.reserved = 1
    lanes = board(full)
    lanes.learn([lane(), lane(type_="y")])
    assert lanes.groups() == []
    assert lanes.served() == [lane()]


def test_a_read_lane_is_ready_again_only_after_a_hint() -> None:
    lanes = board(session("a"))
    lanes.learn([lane()])
    lanes.take([lane()])
    assert lanes.groups() == []
    lanes.learn([lane()])
    assert len(lanes.groups()) == 1


def test_a_hint_that_overtakes_the_list_of_lanes_is_kept() -> None:
    lanes = board(session("a"))
    lanes.learn([lane(priority=1)])
    lanes.replace({lane(priority=2)})
    assert {one.priority for one in lanes.groups()[0].lanes} == {1, 2}


def test_a_draining_or_disconnected_session_gets_nothing() -> None:
    roster = Roster()
    one = session("a")
    roster.put(one)
    lanes = LaneBoard(roster)
    lanes.learn([lane()])
    one.draining = True
    roster.changed()
    assert lanes.groups() == []


def test_a_selector_that_cannot_be_read_fits_nobody() -> None:
    lanes = board(session("a"))
    lanes.learn([lane("=broken")])
    assert lanes.groups() == []
