"""Which submits make one lane too many, and which do not."""

import pytest

from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.matching import Capabilities
from taskyard_scheduler.api.lane_room import LaneRoom
from taskyard_scheduler.api.recent import Recent

KEPT = 30.0


def lane(number: int | str, namespace: str = "n") -> str:
    return Lane(namespace, "q", "x", 5, f"host=h{number}").name


def filled(most: int) -> LaneRoom:
    room = LaneRoom(most)
    for namespace in ("m", "n"):
        for number in range(most // 2):
            assert room.admit(lane(number, namespace))
    return room


def test_only_what_would_make_a_new_lane_is_refused() -> None:
    room = filled(10)
    assert not room.admit(lane(99))
    assert room.admit(lane(0))
    assert room.admit(lane(0))
    room.begin_count()
    room.counted([lane(0)], 0.0)
    # It was on its way, perhaps, when the count began.
    assert not room.admit(lane(99))
    room.begin_count()
    room.counted([lane(0)], 1.0)
    assert room.admit(lane(99))


def test_one_namespace_leaves_room_for_another() -> None:
    room = LaneRoom(10)
    assert [room.admit(lane(number, "greedy")) for number in range(10)].count(True) == 5
    assert room.admit(lane(1, "other"))


def test_what_a_connected_worker_serves_is_taken_up_to_twice_the_bound() -> None:
    room = filled(10)
    room.serving([Capabilities("n", frozenset("x"), frozenset(), {"io": "ssd"})])
    served = [Lane("n", "q", "x", 5, f"io=ssd,!no{number}").name for number in range(20)]
    assert [room.admit(name) for name in served].count(True) == 10
    assert not room.admit(lane(99))


def test_a_lane_that_was_used_lately_is_not_new() -> None:
    room = LaneRoom(10, KEPT)
    honest = Lane("n", "q", "x", 5, "").name
    assert room.admit(honest)
    for moment in range(3):
        room.begin_count()
        # It was emptied, and the count comes without it.
        room.counted([lane(number) for number in range(10)], float(moment))
        assert room.admit(honest)
        assert not room.admit(lane("new"))
    room.begin_count()
    for late in (1, 2, 3):
        room.counted([lane(number) for number in range(10)], late * KEPT + 10)
    assert not room.admit(honest)


def test_what_was_admitted_while_the_count_ran_counts() -> None:
    room = LaneRoom(4)
    room.begin_count()
    assert room.admit(lane(1))
    room.counted([lane(2)], 0.0)
    assert not room.admit(lane(3))


@pytest.mark.parametrize("most", [1, 10])
def test_what_was_seen_is_bounded_and_forgotten(most: int) -> None:
    seen: Recent[int] = Recent(60.0, most)
    for item in range(100):
        seen.add(item)
    assert 99 in seen
    assert len(seen) <= 2 * most
    seen.pass_on(1000.0)
    assert 99 in seen
    seen.pass_on(1030.0)
    assert 99 in seen
    seen.pass_on(1060.0)
    assert 99 not in seen
