"""Parts start in order and stop in the reverse one, and a loop that fails takes nobody with it."""

import asyncio
import itertools
import logging
from functools import partial
from random import Random
from typing import Any

import pytest

from simulation.chance import VirtualClock
from simulation.loop import VirtualLoop
from taskyard_core.runtime.service import STEADY, Part, Service


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


class Diary:
    """Parts that note what becomes of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.running = asyncio.Event()

    def part(self, name: str) -> Part:
        async def start() -> None:
            self.told.append(f"{name} starts")

        async def run() -> None:
            self.running.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.told.append(f"{name} is cancelled")

        async def stop() -> None:
            self.told.append(f"{name} stops")

        return Part(name, start, run, stop)


async def test_parts_stop_in_the_reverse_order_of_their_start_and_once() -> None:
    diary, service = Diary(), Service(HandClock())
    await service.start(diary.part("a"))
    await service.start(diary.part("b"))
    await diary.running.wait()
    assert diary.told == ["a starts", "b starts"]
    await asyncio.gather(service.stop(), service.stop())
    ended = ["b stops", "b is cancelled", "a stops", "a is cancelled"]
    assert diary.told[2:] == ended
    await service.stop()
    assert diary.told[2:] == ended


async def test_where_one_cannot_start_those_before_it_are_stopped_and_none_after_it_is_begun() -> None:
    diary, service = Diary(), Service(HandClock())

    async def cannot() -> None:
        await diary.running.wait()
        raise OSError("address in use")

    with pytest.raises(OSError, match="in use"):
        await service.start(diary.part("a"), Part("b", cannot, stop=cannot), diary.part("c"))
    assert diary.told == ["a starts", "a stops", "a is cancelled"]


async def test_whoever_does_not_stop_in_time_or_fails_to_keeps_nobody_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary, service = Diary(), Service(HandClock(), grace=0.0, moment=0.0)

    async def never() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise ValueError("what is this")

    await service.start(diary.part("a"), Part("hanging", stop=never), Part("broken", stop=fails))
    await service.stop()
    assert "a stops" in diary.told
    assert "hanging has not stopped within 0.0 s, and is left behind" in caplog.text
    assert "broken failed while it stopped" in caplog.text


async def test_whoever_takes_all_of_the_grace_leaves_the_others_a_moment(caplog: pytest.LogCaptureFixture) -> None:
    clock, diary = HandClock(), Diary()
    service = Service(clock, grace=10.0)

    async def takes_all() -> None:
        await clock.sleep(10.0)

    async def takes_leave() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        diary.told.append("leave is taken")

    await service.start(diary.part("a"), Part("polite", stop=takes_leave), Part("hanging", stop=takes_all))
    await diary.running.wait()
    await service.stop()
    assert diary.told[1:] == ["leave is taken", "a stops", "a is cancelled"]
    assert "left behind" not in caplog.text


async def test_a_part_that_waits_for_what_was_cancelled_keeps_nobody_else_from_stopping() -> None:
    diary, service = Diary(), Service(HandClock())

    async def waits() -> None:
        work = asyncio.create_task(asyncio.Event().wait())
        work.cancel()
        await work

    await service.start(diary.part("a"), Part("waiting", stop=waits))
    await service.stop()
    assert "a stops" in diary.told


async def test_a_stop_that_is_cancelled_itself_ends_and_another_goes_on_with_it() -> None:
    diary, service = Diary(), Service(HandClock())
    reached = asyncio.Event()

    async def never() -> None:
        reached.set()
        await asyncio.Event().wait()

    await service.start(diary.part("a"), Part("hanging", stop=never))
    stopping = asyncio.create_task(service.stop())
    await reached.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert "a stops" not in diary.told
    await service.stop()
    assert "a stops" in diary.told


def lasting(seconds: float, **more: Any) -> Part:
    """A part that takes so long to stop."""
    return Part(f"{seconds} s", stop=partial(asyncio.sleep, seconds), **more)


@pytest.mark.parametrize(
    ("parts", "took", "left_behind"),
    [
        # What one waits for is not taken from the grace of all, nor may others have what it did not need.
        ([lasting(0.9), lasting(20.0, patience=20.0)], 20.9, []),
        ([lasting(3.0), lasting(1.0, patience=20.0)], 2.0, ["3.0 s"]),
        ([lasting(0.0), lasting(0.9), lasting(30.0, patience=20.0)], 21.5, ["30.0 s", "0.9 s"]),
        # The grace is that of all together; once it is used up, whoever comes then still gets a little.
        ([lasting(0.6), lasting(0.6), lasting(0.3)], 1.4, ["0.6 s"]),
    ],
)
def test_all_parts_together_have_the_grace_and_each_what_it_is_given(
    caplog: pytest.LogCaptureFixture, parts: list[Part], took: float, left_behind: list[str]
) -> None:
    async def main(loop: VirtualLoop) -> float:
        service = Service(VirtualClock(loop), grace=1.0)
        await service.start(*parts)
        began = loop.time()
        await service.stop()
        return loop.time() - began

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(main(loop)) == pytest.approx(took, abs=0.01)
    assert [message.partition(" has not")[0] for message in caplog.messages] == left_behind


async def test_a_loop_that_was_steady_is_begun_again_soon() -> None:
    clock, began, again = HandClock(), list[float](), asyncio.Event()

    async def fails() -> None:
        began.append(clock.now)
        if len(began) == 12:
            again.set()
            await asyncio.Event().wait()
        await clock.sleep(STEADY + 1 if len(began) == 11 else 0)
        raise TypeError

    service = Service(clock)
    await service.start(Part("fails", run=fails))
    await again.wait()
    assert began[11] - began[10] <= STEADY + 1 + 0.5
    await service.stop()


async def test_it_is_begun_again_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    clock, began = HandClock(), list[float]()
    service, lasting = Service(clock), asyncio.Event()

    async def fails_at_first() -> None:
        began.append(clock.now)
        if len(began) <= 20:
            raise TypeError("nobody thought of this")
        lasting.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        await service.start(Part("one of them", run=fails_at_first))
        await lasting.wait()
    assert service.failures == 20
    assert "one of them failed, and is begun again: TypeError('nobody thought of this')" in caplog.text
    pauses = [after - before for before, after in itertools.pairwise(began)]
    assert all(0.2 <= pause <= STEADY for pause in pauses)
    assert max(pauses[10:]) > 1.0
    assert "one of them failed: TypeError" in (service.obstacle() or "")
    clock.now += STEADY
    assert service.obstacle() is None
    await service.stop()


async def test_others_run_on() -> None:
    clock = HandClock()
    service, turns = Service(clock), asyncio.Semaphore(0)

    async def fails() -> None:
        raise ExceptionGroup("several", [ValueError("one")])

    async def goes_on() -> None:
        while True:
            turns.release()
            await clock.sleep(1)

    await service.start(Part("fails", run=fails), Part("goes on", run=goes_on))
    for _ in range(10):
        await turns.acquire()
    await service.stop()
