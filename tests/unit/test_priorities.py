"""Priorities get their shares in every set of lanes that the same sessions serve, however many such sets there are."""

import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskyard_core.domain.lanes import Lane, parse
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.lanes import Quota
from taskyard_dispatcher.dispatch.assignment import Reservation
from taskyard_dispatcher.dispatch.board import READ_LANES, LaneBoard
from taskyard_dispatcher.dispatch.outages import Outages
from taskyard_dispatcher.dispatch.pipeline import fill
from taskyard_dispatcher.dispatch.planning import WEIGHT_RATIO
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session

ROUNDS = 300


class Endless:
    """Has tasks of every lane; remembers how many of which priority each pool was given, read by read."""

    def __init__(self) -> None:
        self.reads: dict[str, list[Counter[int]]] = defaultdict(list)
        self.lanes = Counter[str]()

    async def take(self, quotas: Sequence[Quota], budget: int, reservation: Reservation) -> bool:
        lanes = [(parse(quota.lane), quota.count) for quota in quotas]
        given_out = Counter[int]()
        for lane, count in lanes:
            given_out[lane.priority] += count
            self.lanes[lane.name] += count
        assert given_out.total() == budget
        self.reads[lanes[0][0].type].append(given_out)
        return True


class Pool:
    """A session that alone serves a type, and the priorities whose tasks wait there, in one lane or two."""

    def __init__(self, name: str, slots: int, waiting: set[int]) -> None:
        self.name = name
        self.waiting = waiting
        self._occupied = 0
        capabilities = Capabilities("default", frozenset([name]))
        self.session = Session(
            id=name, generation=1, runner=Runner(name, name), capabilities=capabilities, slots=slots, draining=False
        )
        self.lanes = [
            Lane("default", queue, name, priority, "").name
            for priority in waiting
            for queue in ("a", "b")[: 1 + priority % 2]
        ]

    def occupy(self, slots: int) -> None:
        """So many of its slots are taken."""
        for _ in range(slots - self._occupied):
            self.session.reserve()
        for _ in range(self._occupied - slots):
            self.session.release()
        self._occupied = slots


def board_of(pools: Sequence[Pool]) -> LaneBoard:
    roster = Roster()
    for pool in pools:
        roster.put(pool.session)
    board = LaneBoard(roster)
    board.learn(name for pool in pools for name in pool.lanes)
    return board


sizes = st.sampled_from([1, 1, 2, 3, 7, 40, 700])
crowds = st.lists(st.tuples(sizes, st.sets(st.integers(0, 10), min_size=1)), min_size=1, max_size=4)


@settings(max_examples=40)
@given(crowds, st.randoms(use_true_random=False))
async def test_shares_hold_in_each_pool_and_nobody_waits_longer_than_promised(
    crowd: list[tuple[int, set[int]]], random: Random
) -> None:
    pools = [Pool(f"pool{number}", slots, waiting) for number, (slots, waiting) in enumerate(crowd)]
    board, source = board_of(pools), Endless()
    for _ in range(ROUNDS):
        for pool in pools:
            pool.occupy(random.randrange(pool.session.slots))
        assert await fill(board, source, Outages())
    for pool in pools:
        reads = source.reads[pool.name]
        assert len(reads) == ROUNDS
        total = sum(read.total() for read in reads)
        for priority in pool.waiting:
            share = WEIGHT_RATIO**priority / sum(WEIGHT_RATIO**other for other in pool.waiting)
            assert abs(sum(read[priority] for read in reads) - total * share) < 1.001
            assert longest_wait(reads, priority) < promised_wait(priority, pool.waiting)


def promised_wait(priority: int, waiting: Iterable[int]) -> float:
    """The formula of docs/architecture.md: a credit stays between -1 and 1 while the same priorities wait."""
    return 2 * sum(WEIGHT_RATIO**other for other in waiting) / WEIGHT_RATIO**priority


def longest_wait(reads: Sequence[Counter[int]], priority: int) -> int:
    """Most tasks of others in reads, one after the other, that had none of the priority."""
    longest = wait = 0
    for read in reads:
        wait = 0 if read[priority] else wait + read.total()
        longest = max(longest, wait)
    return longest


def test_the_longest_waits_are_those_of_the_docs() -> None:
    assert [round(promised_wait(priority, range(11))) for priority in (0, 5, 10)] == [342, 45, 6]


async def test_what_was_owed_in_a_set_of_lanes_is_forgotten_with_it() -> None:
    pools = [Pool("stays", 1, {0, 10}), Pool("goes", 1, {0, 10})]
    roster = Roster()
    board = LaneBoard(roster)
    for pool in pools:
        roster.put(pool.session)
        board.learn(pool.lanes)
    for _ in range(3):
        await fill(board, Endless(), Outages())
    stays, goes = [weakref.ref(group.credits) for group in board.groups()]
    roster.remove(pools[1].session)
    assert [group.credits for group in board.groups()] == [stays()]
    assert goes() is None


@pytest.mark.parametrize(
    ("low", "priority", "high"),
    [
        # The lower priority gets 2 of 5 reads, and 4 of 13: as often as there are lanes of it.
        (5, 0, 1),
        (13, 0, 2),
        # More than one read takes.
        (READ_LANES + 1, 0, 1),
        (2 * READ_LANES, 5, None),
    ],
)
async def test_of_lanes_of_one_priority_each_has_its_turn(low: int, priority: int, high: int | None) -> None:
    pool = Pool("pool", 1, set())
    lanes = [Lane("default", f"q{number:03}", "pool", priority, "").name for number in range(low)]
    board, source = board_of([pool]), Endless()
    board.learn(lanes)
    if high is not None:
        board.learn([Lane("default", "q", "pool", high, "").name])
    for _ in range(20 * low):
        await fill(board, source, Outages())
    counts = [source.lanes[lane] for lane in lanes]
    assert min(counts) > 0
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("every", [1, 7])
async def test_nobody_waits_longer_because_workers_of_ever_new_kinds_come_and_go(every: int) -> None:
    pool = Pool("pool", 1, {0, 9, 10})
    roster = Roster()
    roster.put(pool.session)
    board, source = LaneBoard(roster), Endless()
    board.learn(pool.lanes)
    for read in range(2000):
        if read % every == 0:
            kind = str(read)
            labelled = Capabilities("default", frozenset(["pool"]), labels={"pod": kind})
            passing = Session(
                id="new", generation=1, runner=Runner(kind, kind), capabilities=labelled, slots=1, draining=False
            )
            passing.reserve()
            roster.put(passing)
        await fill(board, source, Outages())
    for priority in pool.waiting:
        assert longest_wait(source.reads["pool"], priority) < promised_wait(priority, pool.waiting)
    assert min(source.lanes[lane] for lane in pool.lanes) > 0


async def test_a_worker_of_a_new_kind_costs_little_however_many_lanes_and_kinds_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, of = Counter[str](), LaneBoard._of

    def counted(*arguments: Any) -> Any:
        looks["at all crews"] += 1
        return of(*arguments)

    roster = Roster()
    board = LaneBoard(roster)
    board.learn([Lane("default", f"q{number}", "pool", 5, "").name for number in range(300)])
    monkeypatch.setattr(LaneBoard, "_of", counted)
    for number in range(50):
        kind = str(number)
        capabilities = Capabilities("default", frozenset(["pool"]), labels={"pod": kind})
        roster.put(
            Session(
                id=kind, generation=1, runner=Runner(kind, kind), capabilities=capabilities, slots=1, draining=False
            )
        )
        (group,) = board.groups()
        assert len(group.sessions) == number + 1
    assert looks.total() == 50
    roster.remove(group.sessions[0])
    (group,) = board.groups()
    assert (len(group.sessions), len(group.lanes), looks.total()) == (49, READ_LANES, 51)
