"""How tasks are spread over sessions."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taskyard_dispatcher.dispatch.assignment import spread

slots = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(-1, 30), min_size=1, max_size=8)


@given(st.integers(0, 100), slots)
def test_nobody_gets_more_than_it_has_free_and_nothing_is_held_back(count: int, free: dict[str, int]) -> None:
    chosen = Counter(spread(count, free))
    assert all(chosen[session] <= max(0, free[session]) for session in free)
    assert chosen.total() == min(count, sum(max(0, number) for number in free.values()))


@given(st.integers(0, 100), slots)
def test_the_freest_sessions_are_filled_first(count: int, free: dict[str, int]) -> None:
    chosen = Counter(spread(count, free))
    left = {session: number - chosen[session] for session, number in free.items() if number > 0}
    for session, number in left.items():
        # Whoever got a task had then at least as much free as anybody has now.
        if chosen[session]:
            assert number + 1 >= max(left.values())
