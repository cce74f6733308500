"""How long a worker whose stream has ended has to come back, and what becomes of it then."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, cast

import pytest

from simulation.chance import VirtualClock
from simulation.loop import VirtualLoop
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_dispatcher.gateway.grace import BROKEN, Grace
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session


class Register:
    """Stands for the stores: notes which sessions are given up, and when."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.lost: list[tuple[float, int, str]] = []
        self.gone: list[Session] = []

    def left(self, session: Session) -> None:
        self.gone.append(session)

    async def lose(self, _: str, generation: int, reason: str) -> bool:
        self.lost.append((self.loop.time(), generation, reason))
        return True


class Stage:
    """A session of a dispatcher, under virtual time from 0 on."""

    def __init__(self, loop: VirtualLoop, grace: float = 3.0) -> None:
        self.register = Register(loop)
        self.roster = Roster()
        stores = cast("Any", self.register)
        self.grace = Grace(self.roster, stores, stores, VirtualClock(loop), grace=grace, patience=10.0)
        self.session = self.hello(1)

    def hello(self, generation: int) -> Session:
        session = Session(
            id="s",
            generation=generation,
            runner=Runner("s", "w"),
            capabilities=Capabilities("default", frozenset(["x"])),
            slots=1,
            draining=False,
        )
        self.roster.put(session)
        return session

    async def ends(self, settled: Callable[[], Awaitable[None]] | None = None) -> None:
        self.session.stream_ended()
        self.grace.begin(self.session, settled or partial(asyncio.sleep, 0))


def lost(act: Callable[[Stage], Awaitable[object]], **settings: float) -> list[tuple[float, int, str]]:
    """What was given up within a minute."""

    async def main(loop: VirtualLoop) -> list[tuple[float, int, str]]:
        stage = Stage(loop, **settings)
        await act(stage)
        await asyncio.sleep(60)
        assert [session.generation for session in stage.register.gone] == [loss[1] for loss in stage.register.lost]
        assert (stage.roster.get("s") is None) == bool(stage.register.lost)
        return stage.register.lost

    with VirtualLoop(Random(1), 10_000) as loop:
        return loop.run(main(loop))


@pytest.mark.parametrize(("sent_on", "grace", "seconds"), [(False, 3.0, 3.0), (True, 3.0, 10.0), (True, 20.0, 20.0)])
def test_who_was_asked_to_leave_may_find_nobody_at_first(sent_on: bool, grace: float, seconds: float) -> None:
    # A worker waits 5 s for the welcome of a dispatcher that does not answer; then it tries the next.
    async def breaks(stage: Stage) -> None:
        if sent_on:
            stage.session.go_away()
        await stage.ends()

    ((moment, generation, reason),) = lost(breaks, grace=grace)
    assert moment == pytest.approx(seconds, abs=0.01)
    assert (generation, reason) == (1, BROKEN)


def test_who_said_goodbye_is_given_up_at_once() -> None:
    async def leaves(stage: Stage) -> None:
        stage.session.leave()
        await stage.ends()

    ((moment, generation, reason),) = lost(leaves)
    assert moment == pytest.approx(0.0, abs=0.01)
    assert (generation, reason) == (1, "goodbye")


def test_what_was_reported_before_the_stream_broke_is_stored_first() -> None:
    async def breaks(stage: Stage) -> None:
        await stage.ends(partial(asyncio.sleep, 7.0))

    assert [round(moment) for moment, *_ in lost(breaks)] == [10]


@pytest.mark.parametrize("after", [0.0, 2.9])
def test_who_says_hello_again_in_time_is_not_given_up(after: float) -> None:
    async def comes_back(stage: Stage) -> None:
        await stage.ends()
        await asyncio.sleep(after)
        stage.hello(2)

    assert lost(comes_back) == []


def test_who_said_hello_again_before_its_former_stream_ended_is_not_given_up() -> None:
    async def comes_back(stage: Stage) -> None:
        stage.hello(2)
        await stage.ends()

    assert lost(comes_back) == []


def test_a_dispatcher_that_stops_gives_nobody_up_any_more() -> None:
    async def stops(stage: Stage) -> None:
        await stage.ends()
        await asyncio.sleep(1.0)
        await stage.grace.close()

    assert lost(stops) == []
