"""What every store of lanes must do, whatever it is made of."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskyard_core.storage.hints import LanesFilled, Reconnected
from taskyard_core.storage.lanes import Entry, LaneDepth, LaneStore, Quota, all_names
from tests.conformance.delivery.conftest import Stage

A = "default/mail/send/5/"
B = "default/mail/send/9/"
C = "default/video/encode/5/gpu"
HOUR_MS = 3_600_000

_numbers = itertools.count()


@pytest.fixture
def lane_store(stage: Stage) -> LaneStore:
    return stage.delivery.lanes


def tasks(name: str, count: int) -> list[tuple[str, int]]:
    return [(f"{name}{number}", number) for number in range(count)]


async def fill(store: LaneStore, depths: Mapping[str, int]) -> None:
    await store.publish({lane: tasks(f"{lane}#", depth) for lane, depth in depths.items()})


def per_lane(entries: Sequence[Entry]) -> dict[str, int]:
    return dict(Counter(entry.lane for entry in entries))


def contents(entries: Sequence[Entry]) -> list[tuple[str, str, int]]:
    return [(entry.lane, entry.task_id, entry.attempt) for entry in entries]


async def test_entries_come_in_the_order_they_were_published(lane_store: LaneStore) -> None:
    await lane_store.publish({A: [("first", 0), ("second", 3)]})
    await lane_store.publish({A: [("third", 1)]})
    taken = await lane_store.take("c", [Quota(A, 10)], 10)
    assert contents(taken) == [(A, "first", 0), (A, "second", 3), (A, "third", 1)]


async def test_more_entries_than_one_script_call_carries(lane_store: LaneStore) -> None:
    expected = tasks("t", 2_500)
    await lane_store.publish({A: expected})
    taken = await lane_store.take("c", [Quota(A, 0)], 5_000)
    assert [(entry.task_id, entry.attempt) for entry in taken] == expected
    await lane_store.ack(taken)
    assert (await lane_store.depths([A]))[A] == LaneDepth(0, 0)


async def test_each_lane_gives_its_quota_before_any_gives_more(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 10, B: 10, C: 10})
    plan = [Quota(A, 2), Quota(B, 3), Quota(C, 1)]
    assert per_lane(await lane_store.take("c", plan, 6)) == {A: 2, B: 3, C: 1}


async def test_the_rest_of_a_budget_goes_to_lanes_of_a_queue_in_order(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 4, B: 10})
    assert per_lane(await lane_store.take("c", [Quota(A, 1), Quota(B, 1)], 8)) == {A: 4, B: 4}


async def test_empty_lanes_leave_the_budget_to_others(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 1, C: 50})
    assert per_lane(await lane_store.take("c", [Quota(A, 20), Quota(B, 20), Quota(C, 0)], 30)) == {A: 1, C: 29}


async def test_a_budget_is_never_exceeded_by_quotas(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 10, B: 10, C: 10})
    assert len(await lane_store.take("c", [Quota(A, 10), Quota(B, 10), Quota(C, 10)], 7)) == 7
    assert await lane_store.take("c", [Quota(A, 10)], 0) == []
    assert await lane_store.take("c", [], 10) == []


async def test_queues_take_turns_when_a_budget_is_short(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 10, C: 10})
    taken = [await lane_store.take("c", [Quota(A, 1), Quota(C, 1)], 1) for _ in range(10)]
    assert per_lane(list(itertools.chain.from_iterable(taken))) == {A: 5, C: 5}


async def test_many_lanes_of_many_queues(lane_store: LaneStore) -> None:
    lanes = [f"ns{number % 3}/queue{number % 20}/type/5/label=v{number}" for number in range(200)]
    await fill(lane_store, dict.fromkeys(lanes, 3))
    assert await all_names(lane_store) == set(lanes)
    plan = [Quota(lane, 2) for lane in lanes]
    first = await lane_store.take("c", plan, 400)
    assert per_lane(first) == dict.fromkeys(lanes, 2)
    assert len(await lane_store.take("c", plan, 400)) == 200
    assert await lane_store.take("c", plan, 400) == []


async def test_lanes_nobody_published_to_are_empty(lane_store: LaneStore) -> None:
    assert await lane_store.take("c", [Quota(A, 5)], 5) == []
    assert await lane_store.reclaim("c", [A], 0, 5) == []
    assert await lane_store.depths([A]) == {A: LaneDepth(0, 0)}
    assert await all_names(lane_store) == set()
    await lane_store.publish({A: []})
    await lane_store.ack([])
    await lane_store.give_back([])
    assert await all_names(lane_store) == set()


async def test_depth_counts_what_waits_and_what_is_pending(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 5, C: 2})
    taken = await lane_store.take("c", [Quota(A, 3)], 3)
    await lane_store.ack(taken[:1])
    depths = await lane_store.depths([A, B, C])
    assert {lane: (depth.length, depth.pending) for lane, depth in depths.items()} == {A: (4, 2), B: (0, 0), C: (2, 0)}


async def test_entries_of_a_dead_consumer_come_back_once(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 4, C: 3})
    lost = await lane_store.take("dead", [Quota(A, 3), Quota(C, 3)], 6)
    assert await lane_store.reclaim("alive", [A, B, C], HOUR_MS, 100) == []
    some = await lane_store.reclaim("alive", [A, B, C], 0, 4)
    assert len(some) == 4
    await lane_store.ack(some)
    rest = await lane_store.reclaim("alive", [A, B, C], 0, 100)
    assert sorted(some + rest) == sorted(lost)
    await lane_store.ack(rest)
    assert await lane_store.reclaim("alive", [A, B, C], 0, 100) == []
    assert per_lane(await lane_store.take("alive", [Quota(A, 9), Quota(C, 9)], 9)) == {A: 1}


async def test_more_entries_come_back_than_one_script_call_looks_at(lane_store: LaneStore) -> None:
    await lane_store.publish({A: tasks("a", 5_000), B: tasks("b", 10)})
    lost = await lane_store.take("dead", [Quota(A, 0), Quota(B, 0)], 6_000)
    assert await lane_store.reclaim("alive", [A, B], 0, 6_000) == lost


async def test_given_back_entries_go_to_the_end_and_to_anybody(lane_store: LaneStore) -> None:
    await lane_store.publish({A: [("first", 1), ("second", 2)]})
    first = await lane_store.take("one", [Quota(A, 1)], 1)
    await lane_store.give_back(first)
    taken = await lane_store.take("two", [Quota(A, 9)], 9)
    assert contents(taken) == [(A, "second", 2), (A, "first", 1)]
    assert (await lane_store.depths([A]))[A].length == 2


async def test_an_entry_is_given_back_at_most_once(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 2})
    taken = await lane_store.take("c", [Quota(A, 2)], 2)
    await lane_store.ack(taken[:1])
    await lane_store.give_back(taken)
    await lane_store.give_back(taken)
    assert (await lane_store.depths([A]))[A].length == 1


async def test_acknowledging_twice_is_harmless(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 1})
    taken = await lane_store.take("c", [Quota(A, 1)], 1)
    await lane_store.ack(taken)
    await lane_store.ack(taken)
    assert (await lane_store.depths([A]))[A] == LaneDepth(0, 0)


async def test_only_a_lane_out_of_use_is_swept(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 1, C: 1})
    assert not await lane_store.sweep(A, 60_000)
    taken = await lane_store.take("c", [Quota(A, 1)], 1)
    assert not await lane_store.sweep(A, 60_000)
    await lane_store.ack(taken)
    assert await all_names(lane_store) == {A, C}
    assert await lane_store.sweep(A, 60_000)
    assert await all_names(lane_store) == {C}


async def test_a_lane_is_swept_with_what_was_left_in_it_long_ago(lane_store: LaneStore) -> None:
    await fill(lane_store, {A: 3})
    await lane_store.take("c", [Quota(A, 1)], 1)
    assert not await lane_store.sweep(A, 60_000)
    assert await lane_store.sweep(A, 0)
    assert await lane_store.depths([A]) == {A: LaneDepth(0, 0)}
    assert await all_names(lane_store) == set()


async def test_names_come_in_pages_and_all_of_them_do(lane_store: LaneStore) -> None:
    lanes = [f"n/q/t/5/host=h{number}" for number in range(3000)]
    await lane_store.publish({lane: [("task", 0)] for lane in lanes})
    found: list[str] = []
    sizes: list[int] = []
    position = ""
    while position or not sizes:
        page = await lane_store.page(position)
        found += page.names
        sizes.append(len(page.names))
        position = page.position
    assert set(found) == set(lanes)
    assert max(sizes) < 1500


async def test_a_swept_lane_serves_again(lane_store: LaneStore) -> None:
    for _ in range(2):
        await fill(lane_store, {A: 1})
        assert await all_names(lane_store) == {A}
        taken = await lane_store.take("c", [Quota(A, 1)], 1)
        assert len(taken) == 1
        await lane_store.ack(taken)
        assert await lane_store.sweep(A, 60_000)


async def one(store: LaneStore, name: str = "task", lane: str = A) -> list[Entry]:
    await store.publish({lane: [(name, 1)]})
    return await store.take("c", [Quota(lane, 9)], 9)


async def test_a_deleted_lane_is_begun_again(stage: Stage, lane_store: LaneStore) -> None:
    old = await one(lane_store, "old")
    await stage.drop(A)
    assert await lane_store.take("c", [Quota(A, 1)], 1) == []
    await lane_store.ack(old)
    await lane_store.give_back(old)
    assert await lane_store.reclaim("c", [A], 0, 9) == []
    assert [entry.task_id for entry in await one(lane_store, "new")] == ["new"]


async def test_a_wipe_in_the_middle_costs_entries_only(stage: Stage, lane_store: LaneStore) -> None:
    old = await one(lane_store, "old")
    await lane_store.publish({C: [("waiting", 1)]})
    await stage.wipe()
    await lane_store.ack(old)
    assert await all_names(lane_store) == set()
    await lane_store.publish({A: [("new", 2)]})
    taken = await lane_store.take("c", [Quota(A, 1), Quota(C, 1)], 9)
    assert [(entry.task_id, entry.attempt) for entry in taken] == [("new", 2)]
    assert await all_names(lane_store) == {A}


async def test_a_restart_with_all_data_keeps_what_waits_and_what_is_pending(own_stage: Stage) -> None:
    lane_store = own_stage.delivery.lanes
    await lane_store.publish({A: [("first", 1), ("second", 1)]})
    (first,) = await lane_store.take("c", [Quota(A, 1)], 1)
    await own_stage.stop()
    await own_stage.start()
    assert [entry.task_id for entry in await lane_store.take("c", [Quota(A, 9)], 9)] == ["second"]
    assert await lane_store.reclaim("other", [A], 0, 1) == [first]


async def test_one_hint_names_all_lanes_of_a_batch(stage: Stage, lane_store: LaneStore) -> None:
    await one(lane_store)
    async with stage.delivery.listen(LanesFilled) as stream:
        assert await anext(stream) == Reconnected()
        await lane_store.publish({A: [("a", 1), ("b", 1)], B: [], C: [("c", 1)]})
        taken = await lane_store.take("c", [Quota(A, 9)], 9)
        await lane_store.give_back(taken)
        assert await anext(stream) == LanesFilled((A, C))
        assert await anext(stream) == LanesFilled((A,))


async def test_sweeps_and_publishes_at_once_lose_no_lane(lane_store: LaneStore) -> None:
    for number in range(100):
        await asyncio.gather(
            lane_store.sweep(A, 60_000),
            lane_store.publish({A: [(f"t{number}", 1)]}),
            lane_store.sweep(A, 60_000),
        )
        assert await all_names(lane_store) == {A}
        taken = await lane_store.take("c", [Quota(A, 9)], 9)
        assert len(taken) == 1
        await lane_store.ack(taken)


async def test_what_is_not_a_lane_is_refused(lane_store: LaneStore) -> None:
    with pytest.raises(ValueError, match="unpack"):
        await lane_store.publish({"lane": [("a", 1)]})


@given(
    depths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    rounds=st.lists(
        st.tuples(st.sampled_from("xyz"), st.integers(0, 25), st.lists(st.integers(0, 6), min_size=8, max_size=8)),
        max_size=6,
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_takes_keep_to_budget_and_quotas_and_never_share_an_entry(
    lane_store: LaneStore, depths: list[int], rounds: list[tuple[str, int, list[int]]]
) -> None:
    example = next(_numbers)
    lanes = [f"default/queue{example}-{number % 3}/type/5/{number}" for number in range(len(depths))]
    left = dict(zip(lanes, depths, strict=True))
    await fill(lane_store, left)
    seen: set[tuple[str, str]] = set()
    for consumer, budget, counts in rounds:
        plan = [Quota(lane, count) for lane, count in zip(lanes, counts, strict=False)]
        taken = await lane_store.take(consumer, plan, budget)
        assert len(taken) == min(budget, sum(left.values()))
        got = per_lane(taken)
        if sum(quota.count for quota in plan) <= budget:
            assert all(got.get(quota.lane, 0) >= min(quota.count, left[quota.lane]) for quota in plan)
        fresh = {(entry.lane, entry.task_id) for entry in taken}
        assert len(fresh) == len(taken)
        assert not fresh & seen
        seen |= fresh
        for lane, count in got.items():
            left[lane] -= count
