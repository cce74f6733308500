"""What the leader's duties decide, and how the rota treats a duty that fails: without any store."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from taskyard_core.domain.lanes import parse
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.etcd import Lease
from taskyard_core.storage.postgres.leader import LeaderFence
from taskyard_core.storage.sessions import LiveSession
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties import Duty, DutyStalled, Patience, Rota
from taskyard_dispatcher.duties.audit import Emptiness, short_lanes
from taskyard_dispatcher.duties.course import ENTRIES, LANES, Course
from taskyard_dispatcher.duties.moment import first_id
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.membership.suspicion import Suspicion
from taskyard_dispatcher.timing import DutyTiming

PATIENCE = Patience(grace=15.0, missing=2.0, lease=10.0)


def session(id: str, generation: int = 1, age: float = 60.0) -> LiveSession:
    return LiveSession(id, generation, "d", age)


def test_only_old_unregistered_sessions_are_suspected() -> None:
    live = [session("here"), session("young", age=14.0), session("gone")]
    suspicion = Suspicion().after(100.0, live, {"here"}, PATIENCE)
    assert suspicion.since == {("gone", 1): 100.0}


def test_two_looks_are_needed_and_a_stable_time_before_them() -> None:
    first = Suspicion().after(100.0, [session("gone")], (), PATIENCE)
    assert first.ripe(100.0, 0.0, PATIENCE) == []
    second = first.after(102.0, [session("gone")], (), PATIENCE)
    assert second.ripe(102.0, None, PATIENCE) == []
    assert second.ripe(102.0, 92.5, PATIENCE) == []
    assert second.ripe(102.0, 92.0, PATIENCE) == [("gone", 1)]


def test_who_comes_back_is_cleared() -> None:
    first = Suspicion().after(100.0, [session("s"), session("t")], (), PATIENCE)
    back = first.after(102.0, [session("s"), session("t", generation=2)], {"s"}, PATIENCE)
    assert back.since == {("t", 2): 102.0}
    assert back.after(104.0, [session("s")], (), PATIENCE).since == {("s", 1): 104.0}


def walk(rows: dict[str, int]) -> list[tuple[str, int]]:
    """How a course goes through lanes with so many entries: (lane, entries) in order."""
    left = {lane: [(f"{number:09d}", 0) for number in range(count)] for lane, count in rows.items()}
    course, pages = Course(rows), list[tuple[str, int]]()
    while step := course.step():
        assert len(step.after) <= LANES
        assert step.limit * len(step.after) <= ENTRIES
        found = {
            lane: [entry for entry in left[lane] if entry[0] > after or "-" in after][: step.limit]
            for lane, after in step.after.items()
        }
        course.done(step, {lane: entries for lane, entries in found.items() if entries})
        pages += [(lane, len(entries)) for lane, entries in found.items()]
    return pages


def test_every_entry_is_walked_once_and_every_lane_begins_before_any_goes_on() -> None:
    rows = {f"n/q{number}/t/{number % 11}/": number * 40 for number in range(120)}
    pages = walk(rows)
    totals = dict.fromkeys(rows, 0)
    for lane, count in pages:
        totals[lane] += count
    assert totals == rows
    assert len({lane for lane, _ in pages[:120]}) == 120
    priorities = [parse(lane).priority for lane, _ in pages]
    assert priorities[:120] == sorted(priorities[:120], reverse=True)
    assert priorities[120:] == sorted(priorities[120:], reverse=True)


def test_a_lone_lane_goes_in_full_pages() -> None:
    assert walk({"n/q/t/5/": 12_000}) == [("n/q/t/5/", 5000), ("n/q/t/5/", 5000), ("n/q/t/5/", 2000)]


def test_lanes_of_a_priority_take_turns() -> None:
    high = ["n/a/t/9/", "n/b/t/9/"]
    pages = walk({"n/c/t/1/": 6000, high[0]: 6000, high[1]: 6000, "odd/name": 3})
    assert [lane for lane, _ in pages[:8]] == [*high, "n/c/t/1/", "odd/name", *high, *high]


def test_a_failed_step_is_asked_for_again() -> None:
    course = Course(["n/q/t/5/"])
    assert course.step() == course.step()


def test_a_lane_is_short_when_it_holds_less_than_it_should() -> None:
    rows = {"even": 5, "more": 5, "less": 5, "none": 1}
    assert short_lanes(rows, {"even": 5, "more": 9, "less": 4, "unused": 0}) == ["less", "none"]


def test_a_lane_must_have_been_empty_all_the_time() -> None:
    emptiness = Emptiness(600.0)
    assert emptiness.note(["a", "b"], 0.0) == []
    assert emptiness.note(["a"], 300.0) == []
    assert emptiness.note(["a", "b"], 601.0) == ["a"]


def test_the_first_id_of_a_moment_is_below_every_other_of_it() -> None:
    moment = uuid.UUID(first_id(1_700_000_000.123))
    assert moment.version == 7
    assert moment.int >> 80 == 1_700_000_000_123
    assert uuid.UUID(first_id(-1.0)).int >> 80 == 0


class Fence(LeaderFence):
    """Begins after some failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.begun: list[int] = []
        self.rival: str | None = None

    async def newest(self) -> int:
        return self.begun[-1] if self.begun else 0

    async def led_by(self, within: float) -> str | None:
        return self.rival

    async def begin(self, term: int, dispatcher: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.begun.append(term)


class HastyClock(SystemClock):
    """Notes pauses instead of making them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class Scripted:
    """A duty that raises one error after the other, and then blocks."""

    name = "scripted"
    interval = 7.0

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.blocked = asyncio.Event()

    async def run_once(self, term: Term) -> None:
        if not self.errors:
            self.blocked.set()
            await asyncio.Event().wait()
        if error := self.errors.pop(0):
            raise error


AWAY = StoreUnavailable("postgres", "away")


def term() -> Term:
    lease = Lease(1, 1000.0, granted_at=time.monotonic())
    return Term(5, lease, margin=1.0)


def rota(*duties: Duty, fence: Fence | None = None, bound: float = 30.0) -> tuple[Rota, HastyClock]:
    @asynccontextmanager
    async def enlist() -> AsyncIterator[Sequence[Duty]]:
        yield duties

    clock = HastyClock()
    return Rota(
        "d", fence or Fence(), enlist, clock, timing=DutyTiming(bound=bound), draw=lambda low, high: high
    ), clock


async def test_a_duty_outlives_outages_with_growing_pauses() -> None:
    duty = Scripted(AWAY, AWAY, AWAY, AWAY, AWAY, AWAY, None, AWAY)
    work, clock = rota(duty)
    running = asyncio.ensure_future(work.run(term()))
    await duty.blocked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert clock.pauses == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 7.0, 0.2]


async def test_a_term_begins_once_postgres_is_back() -> None:
    fence, duty = Fence(AWAY, AWAY), Scripted()
    work, _ = rota(duty, fence=fence)
    running = asyncio.ensure_future(work.run(term()))
    await duty.blocked.wait()
    assert fence.begun == [5]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_terms_go_on_rising_when_the_revisions_of_etcd_begin_anew(
    confirmed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A revision below the newest term is from an etcd that went back, if that still holds the election, or old."""

    async def still_holds() -> bool:
        return confirmed

    fence, duty = Fence(), Scripted()
    fence.begun = [5000]
    lease = Lease(1, 1000.0, granted_at=time.monotonic())
    leading = Term(7, lease, margin=1.0, confirmed=still_holds)
    running = asyncio.ensure_future(rota(duty, fence=fence)[0].run(leading))
    if not confirmed:
        with pytest.raises(TermOver, match="revision 7, before term 5000"):
            await running
        return
    await duty.blocked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (fence.begun, leading.number) == ([5000, 5001], 5001)
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "replaced or restored from a backup" in warning.getMessage()


async def test_a_leader_by_another_etcd_is_waited_for_as_long_as_it_says_that_it_leads() -> None:
    async def still_holds() -> bool:
        return True

    fence = Fence()
    fence.begun, fence.rival = [5000], "other"
    leading = Term(7, Lease(1, 1000.0, granted_at=time.monotonic()), margin=1.0, confirmed=still_holds)
    with pytest.raises(TermOver, match="other leads term 5000"):
        await rota(fence=fence)[0].run(leading)
    assert fence.begun == [5000]


async def test_a_term_that_is_over_does_not_wait_for_postgres() -> None:
    over = term()
    over.end("resigned")
    with pytest.raises(TermOver):
        await rota(fence=Fence(AWAY))[0].run(over)


async def test_any_sign_of_a_later_leader_ends_the_term() -> None:
    with pytest.raises(TermOver, match="5"):
        await rota(Scripted(TermOver("5")), Scripted())[0].run(term())


async def test_a_duty_that_fails_ends_the_rota() -> None:
    other = Scripted()
    with pytest.raises(ExceptionGroup) as raised:
        await rota(Scripted(None, ValueError("broken")), other)[0].run(term())
    assert raised.group_contains(ValueError, match="broken")


async def test_a_duty_that_stalls_ends_the_rota() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await rota(Scripted(), bound=0.01)[0].run(term())
    assert raised.group_contains(DutyStalled, match="scripted")


async def test_a_duty_is_not_run_once_the_term_is_over() -> None:
    leading = term()

    class Last(Scripted):
        async def run_once(self, term: Term) -> None:
            leading.end("resigned")

    with pytest.raises(TermOver, match="resigned"):
        await rota(Last())[0].run(leading)
