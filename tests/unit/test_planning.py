"""How reads are divided over lanes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain.lanes import Lane, parse
from taskyard_core.storage.claims import Head
from taskyard_core.storage.lanes import Quota
from taskyard_dispatcher.dispatch.planning import plan_reads, within

lanes = st.builds(
    Lane,
    namespace=st.just("default"),
    queue=st.sampled_from(["a", "b"]),
    type=st.sampled_from(["x", "y", "z"]),
    priority=st.integers(0, 10),
    selector=st.sampled_from(["", "io=ssd"]),
)


@given(st.lists(lanes, min_size=1, max_size=40, unique=True), st.integers(1, 500))
def test_quotas_add_up_to_the_budget_and_none_is_negative(waiting: list[Lane], budget: int) -> None:
    plan = plan_reads(waiting, budget, {})
    assert sum(quota.count for quota in plan.quotas) == budget
    assert all(quota.count >= 0 for quota in plan.quotas)
    assert sorted(quota.lane for quota in plan.quotas) == sorted(lane.name for lane in waiting)


@given(st.sets(st.integers(0, 10), min_size=2), st.integers(1, 7))
def test_over_many_rounds_every_priority_gets_its_share(priorities: set[int], budget: int) -> None:
    waiting = [Lane("default", "q", "x", priority, "") for priority in priorities]
    rounds, given_out, credits = 3000, Counter[int](), dict[int, float]()
    for _ in range(rounds):
        plan = plan_reads(waiting, budget, credits)
        credits = plan.credits
        given_out.update({parse(quota.lane).priority: quota.count for quota in plan.quotas})
    total = sum(1.5**priority for priority in priorities)
    for priority in priorities:
        share = rounds * budget * 1.5**priority / total
        assert abs(given_out[priority] - share) <= max(2.0, 0.02 * share)


def test_credits_stay_bounded() -> None:
    waiting = [Lane("default", "q", "x", priority, "") for priority in range(11)]
    credits: dict[int, float] = {}
    for turn in range(5000):
        credits = plan_reads(waiting, 1 + turn % 13, credits).credits
    assert all(-2 < credit < 2 for credit in credits.values())


def test_higher_priorities_come_first_and_of_equal_ones_the_first_gets_what_cannot_be_divided() -> None:
    low, first, second = (Lane("default", "q", t, p, "") for t, p in (("x", 0), ("x", 9), ("y", 9)))
    for one, other in ((first, second), (second, first)):
        quotas = plan_reads([low, one, other], 3, {}).quotas
        assert quotas == [Quota(other.name, 1), Quota(one.name, 2), Quota(low.name, 0)]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.lists(st.integers(0, 12), min_size=5, max_size=5),
)
def test_heads_are_chosen_by_quota_and_what_is_left_goes_to_lanes_that_have_more(
    counts: list[int], waiting: list[int]
) -> None:
    quotas = [Quota(f"lane{number}", count) for number, count in enumerate(counts)]
    budget = sum(quota.count for quota in quotas)
    heads = [
        Head(f"{quota.lane} {number}", 0, quota.lane)
        for quota, count in zip(quotas, waiting, strict=False)
        for number in range(count)
    ]
    chosen = within(heads, quotas, budget)
    assert len({*chosen}) == len(chosen) == min(budget, len(heads))
    taken = Counter(head.lane for head in chosen)
    for quota, count in zip(quotas, waiting, strict=False):
        assert taken[quota.lane] >= min(quota.count, count)
        # The oldest of each lane.
        assert [head for head in heads if head.lane == quota.lane][: taken[quota.lane]] == sorted(
            (head for head in chosen if head.lane == quota.lane), key=heads.index
        )
