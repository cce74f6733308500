"""Work that nobody hurries for."""

import asyncio
from random import Random

import pytest

from scheduler.storage.pace import Pace
from tests.simulation.loop import VirtualLoop


async def use(pace: Pace, seconds: float, patience: float = 100.0) -> float:
    async with pace.turn(patience):
        await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_a_lone_caller_is_never_held_up() -> None:
    async def one_after_the_other() -> list[float]:
        pace = Pace(1, rest=2.0)
        return [await use(pace, 1.0) for _ in range(3)]

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(one_after_the_other()) == [1.0, 2.0, 3.0]


def test_a_crowd_uses_a_part_of_the_time() -> None:
    async def together() -> list[float]:
        pace = Pace(1, rest=2.0)
        return await asyncio.gather(*(use(pace, 1.0) for _ in range(4)))

    with VirtualLoop(Random(1), 1000) as loop:
        # Nobody waits behind the last, which rests no more.
        assert loop.run(together()) == [1.0, 4.0, 7.0, 10.0]


async def test_who_finds_no_place_in_time_leaves_none_taken() -> None:
    pace = Pace(1, rest=0.0)
    async with pace.turn(1.0):
        with pytest.raises(TimeoutError):
            await use(pace, 0.0, patience=0.01)
    await use(pace, 0.0, patience=1.0)
