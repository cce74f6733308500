"""Work that nobody hurries for."""

import asyncio
from random import Random

import pytest

from simulation.loop import VirtualLoop
from taskyard_core.runtime.pace import LONGEST, Pace


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
        return await asyncio.gather(*(use(pace, 0.125) for _ in range(4)))

    with VirtualLoop(Random(1), 1000) as loop:
        # Once the last has its turn, nobody waits, and nothing rests.
        assert loop.run(together()) == [0.125, 0.5, 0.875, 1.25]


def test_a_long_use_is_no_reason_for_a_long_rest() -> None:
    async def together() -> list[float]:
        pace = Pace(1, rest=2.0)
        return await asyncio.gather(*(use(pace, 10.0) for _ in range(2)))

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(together()) == [10.0, 20.0 + LONGEST]


def test_rests_end_when_the_crowd_leaves() -> None:
    async def crowd_then_one() -> float:
        pace = Pace(2, rest=2.0)
        longs = [asyncio.create_task(use(pace, 5.0)) for _ in range(2)]
        late = asyncio.create_task(use(pace, 0.0))
        await asyncio.wait(longs)
        late.cancel()
        await asyncio.wait([late])
        return await use(pace, 0.0)

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(crowd_then_one()) == 5.0


async def test_who_finds_no_place_in_time_leaves_none_taken() -> None:
    pace = Pace(1, rest=0.0)
    async with pace.turn(1.0):
        with pytest.raises(TimeoutError):
            await use(pace, 0.0, patience=0.01)
    await use(pace, 0.0, patience=1.0)
