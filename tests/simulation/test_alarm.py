"""Waiting for a moment that may be brought forward."""

from random import Random

from simulation.loop import VirtualLoop
from taskyard_core.storage.etcd.alarm import Alarm


def _slept(moment: float, *rings: tuple[float, float]) -> float:
    """Until when a sleeper sleeps who means to until `moment`, with rings for a moment at a time."""

    async def main() -> float:
        alarm = Alarm(loop.time)
        for at, sooner in rings:
            loop.at(at, alarm.ring, sooner)
        await alarm.wait(moment)
        return loop.time()

    with VirtualLoop(Random(1), 1000) as loop:
        return loop.run(main())


def test_it_goes_off_at_its_moment() -> None:
    assert _slept(5.0) == 5.0


def test_it_goes_off_at_once_when_its_moment_has_passed() -> None:
    assert _slept(-1.0) < 0.001


def test_a_ring_for_an_earlier_moment_wakes_and_one_for_a_later_does_not() -> None:
    assert _slept(5.0, (1.0, 6.0), (2.0, 3.0)) == 2.0
    assert _slept(float("inf"), (1.0, float("inf")), (2.0, -float("inf"))) == 2.0
