"""The lanes that an asker serves are found without meeting all the others, and are the same as one by one."""

from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import lanes
from taskyard_core.domain.lane_index import LaneIndex
from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.matching import Capabilities

_LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"), max_size=3)
_TERM = st.sampled_from(["a=1", "a=2", "b in (1,2)", "b", "!c", "c notin (1)", "a>=2", "c=3"])
_LANE = st.builds(
    Lane,
    st.sampled_from(["n", "m"]),
    st.sampled_from(["q", "r"]),
    st.sampled_from(["x", "y"]),
    st.integers(0, 2),
    st.lists(_TERM, max_size=3, unique=True).map(",".join),
)


@given(
    kept=st.lists(_LANE, max_size=30),
    gone=st.lists(_LANE, max_size=10),
    types=st.sets(st.sampled_from(["x", "y"]), min_size=1),
    queues=st.sets(st.sampled_from(["q", "r"])),
    labels=_LABELS,
)
def test_what_is_found_is_what_fits(
    kept: list[Lane], gone: list[Lane], types: set[str], queues: set[str], labels: dict[str, str]
) -> None:
    index = LaneIndex()
    for lane in [*kept, *gone]:
        index.add(lane.name)
    for lane in gone:
        index.discard(lane.name)
    names = {lane.name for lane in kept} - {lane.name for lane in gone}
    assert len(index) == len(names)
    able = Capabilities("n", frozenset(types), frozenset(queues), labels)
    found = [lane.name for lane in index.served_by("n", sorted(types), sorted(queues), labels)]
    assert sorted(found) == sorted(name for name in names if able.serve(lanes.parse(name)))
    assert sorted(found) == sorted(name for name in names if index.serves(name, "n", types, queues, labels))
    for name in names:
        index.discard(name)
    assert len(index) == 0
    assert list(index.served_by("n", (), (), labels)) == []


def test_thousands_of_selectors_that_somebody_else_is_meant_by_are_not_met() -> None:
    index = LaneIndex()
    for number in range(1000):
        for selector in (f"host=h{number}", f"io=ssd,host=h{number}", f"host in (a{number},b{number})", f"own{number}"):
            index.add(Lane("n", "q", "x", 5, selector).name)
        index.add(Lane("n", f"q{number}", "x", 5, "").name)
    index.add(Lane("n", "q", "x", 5, "").name)
    found = list(index.served_by("n", ["x"], ["q"], {"io": "ssd", "host": "me"}))
    assert [lane.selector for lane in found] == [""]
    assert index.met < 10
