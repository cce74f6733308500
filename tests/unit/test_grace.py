"""How long a worker whose stream has ended has to come back."""

import asyncio
from typing import Any, cast

import pytest

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_dispatcher.gateway.grace import Grace
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session


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
    grace = Grace(roster, unused, unused, cast("Any", clock), grace=3.0, patience=10.0)
    here = Session(
        id="s",
        generation=1,
        runner=Runner("s", "w"),
        capabilities=Capabilities("default", frozenset(["x"])),
        slots=1,
        draining=False,
    )
    roster.put(here)
    if sent_on:
        here.go_away()
    here.stream_ended()
    grace.begin(here, unused)
    assert await clock.slept.get() == seconds
    await grace.close()
