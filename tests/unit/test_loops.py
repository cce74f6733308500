"""A loop that fails takes nobody with it: it is begun again, and the process says that it is not ready meanwhile."""

import asyncio
import itertools
import logging

import pytest

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.loops import STEADY, Loops


class HandClock:
    """Moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_it_is_begun_again_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    clock, background, began = HandClock(), Background(), list[float]()
    loops, lasting = Loops(background, clock), asyncio.Event()

    async def fails_at_first() -> None:
        began.append(clock.now)
        if len(began) <= 20:
            raise TypeError("nobody thought of this")
        lasting.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        loops.start(fails_at_first)
        await lasting.wait()
    assert loops.failures == 20
    assert "fails_at_first failed, and is begun again: TypeError('nobody thought of this')" in caplog.text
    pauses = [after - before for before, after in itertools.pairwise(began)]
    assert all(0.2 <= pause <= STEADY for pause in pauses)
    assert max(pauses[10:]) > 1.0
    assert "fails_at_first failed: TypeError" in (loops.obstacle() or "")
    clock.now += STEADY
    assert loops.obstacle() is None
    await background.cancel()


async def test_others_run_on() -> None:
    clock, background = HandClock(), Background()
    loops, turns = Loops(background, clock), asyncio.Semaphore(0)

    async def fails() -> None:
        raise ExceptionGroup("several", [ValueError("one")])

    async def goes_on() -> None:
        while True:
            turns.release()
            await clock.sleep(1)

    loops.start(fails, goes_on)
    for _ in range(10):
        await turns.acquire()
    await background.cancel()
