"""How sessions spread over dispatchers: they do, and then they rest; whatever way a worker that is sent on takes."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.dispatchers import Peer
from taskyard_dispatcher.membership.balance import Isolation, Movement, surplus
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session
from taskyard_dispatcher.timing import BalanceTiming

counts = st.lists(st.integers(0, 60), min_size=2, max_size=8)


def peer(sessions: int, *, accepting: bool = True, registered: bool = True) -> Peer:
    return Peer("peer", registered, accepting, sessions, 0.0)


def session(id: str, *, running: int = 0, draining: bool = False) -> Session:
    made = Session(
        id=id,
        generation=1,
        runner=Runner(id, id, ""),
        capabilities=Capabilities("default", frozenset(), frozenset(), {}),
        slots=9,
        draining=draining,
    )
    made.running = {str(number): None for number in range(running)}  # type: ignore[misc]  # only counted
    return made


def moved(held: Sequence[int], target: Callable[[int], int], rounds: int) -> list[int]:
    """What becomes of the counts if each dispatcher sends one on in a round, all of them having seen the same."""
    now = list(held)
    for _ in range(rounds):
        seen = list(now)
        for sender, count in enumerate(seen):
            if surplus(count, [peer(other) for index, other in enumerate(seen) if index != sender]):
                now[sender] -= 1
                now[target(sender)] += 1
    return now


def most(held: Sequence[int]) -> int:
    share = sum(held) / len(held)
    return max(math.ceil(share), math.floor(1.25 * share))


@given(counts, st.randoms(use_true_random=False))
def test_sessions_spread_and_then_rest(held: list[int], chance: random.Random) -> None:
    def anywhere(sender: int) -> int:
        return chance.choice([index for index in range(len(held)) if index != sender])

    spread = moved(held, anywhere, 600)
    assert sum(spread) == sum(held)
    assert max(spread) <= most(held)
    assert moved(spread, anywhere, 1) == spread


@given(counts, st.integers().map(random.Random))
def test_workers_that_may_come_back_spread_all_the_same(held: list[int], chance: random.Random) -> None:
    """As behind a name that stands for all dispatchers, the one that sends included."""
    spread = moved(held, lambda _: chance.randrange(len(held)), 1500)
    assert max(spread) <= most(held)


@given(st.integers(0, 200), st.lists(st.integers(0, 200), max_size=8))
def test_whoever_sends_stays_at_its_share_or_above(mine: int, others: list[int]) -> None:
    share = (mine + sum(others)) / (len(others) + 1)
    assert mine - surplus(mine, [peer(other) for other in others]) >= min(mine, share)


def test_a_dispatcher_that_is_added_gets_some_and_a_lone_one_keeps_all() -> None:
    assert surplus(20, [peer(20), peer(0)]) == 20 - 16
    assert surplus(3, [peer(0)]) == 1
    assert surplus(2, [peer(0)]) == 1
    assert surplus(1, [peer(0)]) == 0
    assert surplus(50, []) == 0
    assert surplus(50, [peer(0, accepting=False)]) == 0


def test_who_has_no_entry_in_etcd_is_cut_off_only_if_others_have_theirs_and_only_after_a_while() -> None:
    others, none = [peer(1), peer(1, registered=False)], [peer(1, registered=False)]
    alone = Isolation().after(100.0, False, none)
    assert not alone.lasts(1000.0, 10.0)
    first = Isolation().after(100.0, False, others)
    later = first.after(109.0, False, others)
    assert not later.lasts(109.0, 10.0)
    assert later.after(110.0, False, others).lasts(110.0, 10.0)
    assert not later.after(110.0, True, others).lasts(110.0, 10.0)
    assert later.after(110.0, False, none) == Isolation()


@pytest.fixture
def roster() -> Roster:
    roster = Roster()
    for made in (session("busy", running=5), session("idle"), session("leaves", draining=True)):
        roster.put(made)
    return roster


def test_the_least_busy_is_sent_once_it_has_settled(roster: Roster) -> None:
    movement = Movement()
    movement.look(0.0, roster)
    assert movement.choose(BalanceTiming.settled - 1, roster, 1) == []
    assert [chosen.id for chosen in movement.choose(BalanceTiming.settled, roster, 1)] == ["idle"]
    assert [chosen.id for chosen in movement.choose(BalanceTiming.settled, roster, 5)] == ["busy"]


def test_who_comes_back_is_left_alone_for_longer_each_time(roster: Roster) -> None:
    movement, sent_at = Movement(), list[float]()
    for now in range(1000):
        movement.look(float(now), roster)
        if any(chosen.id == "busy" for chosen in movement.choose(float(now), roster, 5)):
            sent_at.append(float(now))
    pauses = [later - before for before, later in pairwise(sent_at)]
    assert pauses == [BalanceTiming.rest, 2 * BalanceTiming.rest, 4 * BalanceTiming.rest, 8 * BalanceTiming.rest]


def test_of_whom_it_did_not_send_nothing_is_kept(roster: Roster) -> None:
    movement = Movement()
    movement.look(0.0, roster)
    movement.look(1.0, [])
    assert movement._stays == {}
