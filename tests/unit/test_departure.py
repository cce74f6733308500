"""What becomes of sessions whose stream is not the newest any more."""

import asyncio
from typing import Any, cast

import pytest

from taskyard_core.domain.matching import Capabilities
from taskyard_core.telemetry import Runner
from taskyard_dispatcher.gateway.departure import Departure
from taskyard_dispatcher.sessions.roster import Roster, Session


def session(generation: int) -> Session:
    return Session(
        id="s",
        generation=generation,
        runner=Runner("s", "w"),
        capabilities=Capabilities("default", frozenset(["x"])),
        slots=1,
        draining=False,
    )


async def test_whoever_is_on_a_stream_that_was_replaced_is_told_to_say_hello_again() -> None:
    # The worker gave its first hello up and is on the stream of its second; the first is answered last.
    roster = Roster()
    unused = cast("Any", None)
    departure = Departure(roster, unused, unused, unused, grace=3.0, patience=10.0)
    second, first = session(2), session(1)
    departure.replaced(roster.put(second))
    departure.replaced(roster.put(first))

    assert not second.connected
    assert [frame.go_away for frame in await second.frames()] == [True]
    assert first.connected


async def test_whoever_is_on_a_stream_of_a_session_that_was_adopted_elsewhere_is_told_as_well() -> None:
    # The same with two dispatchers: the one that answers last has the session, and learns nothing of the worker.
    roster = Roster()
    unused = cast("Any", None)
    departure = Departure(roster, unused, unused, unused, grace=3.0, patience=10.0)
    here = session(2)
    departure.replaced(roster.put(here))
    departure.adopted_elsewhere("s")
    departure.adopted_elsewhere("never seen")

    assert not here.connected
    assert [frame.go_away for frame in await here.frames()] == [True]
    assert roster.get("s") is None


class SleptClock:
    """Notes how long somebody means to sleep, who then sleeps for ever."""

    def __init__(self) -> None:
        self.slept: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await asyncio.Event().wait()


@pytest.mark.parametrize(("sent_on", "seconds"), [(False, 3.0), (True, 10.0)])
async def test_who_was_asked_to_leave_may_find_nobody_at_first(sent_on: bool, seconds: float) -> None:
    # A worker waits 5 s for the welcome of a dispatcher that does not answer; then it tries the next.
    roster, clock, unused = Roster(), SleptClock(), cast("Any", None)
    departure = Departure(roster, unused, unused, cast("Any", clock), grace=3.0, patience=10.0)
    here = session(1)
    roster.put(here)
    if sent_on:
        here.go_away()
    departure.stream_ended(here)
    assert await clock.slept.get() == seconds
    await departure.close()
