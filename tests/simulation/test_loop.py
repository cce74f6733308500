"""The event loop of simulations."""

import asyncio
from random import Random

import pytest

from simulation.loop import Livelock, Process, Stuck, VirtualLoop


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> float:
        await asyncio.sleep(1000)
        async with asyncio.timeout(5):
            await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(main()) == 1001


def test_a_killed_process_ends_in_the_middle_without_cleaning_up() -> None:
    said: list[str] = []

    async def victim() -> None:
        try:
            said.append("began")
            await asyncio.sleep(2)
            said.append("never")
        finally:
            said.append("cleaned up")

    async def main(process: Process) -> list[str]:
        process.start(victim())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(10)
        return list(said)

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(main(Process(loop, "victim"))) == ["began"]


def test_a_stopped_process_goes_on_where_it_was() -> None:
    async def sleeper() -> float:
        await asyncio.sleep(2)
        return asyncio.get_running_loop().time()

    async def main(process: Process) -> float:
        task = process.start(sleeper())
        await asyncio.sleep(1)
        process.stop()
        await asyncio.sleep(10)
        process.go_on()
        return await task

    with VirtualLoop(Random(1), 1000) as loop:
        assert loop.run(main(Process(loop, "sleeper"))) == 11


def _race(seed: int) -> tuple[list[str], int]:
    said: list[str] = []

    async def runner(name: str) -> None:
        for n in range(3):
            said.append(f"{name}{n}")
            await asyncio.sleep(0)

    async def main(loop: VirtualLoop) -> None:
        async with asyncio.TaskGroup():
            await asyncio.gather(*(Process(loop, name).start(runner(name)) for name in "abc"))

    with VirtualLoop(Random(seed), 1000) as loop:
        loop.run(main(loop))
        return said, loop.digest


def test_a_seed_decides_who_is_next() -> None:
    assert _race(1) == _race(1)
    orders = {tuple(_race(seed)[0]) for seed in range(30)}
    assert len(orders) > 10
    for order in orders:
        assert [word for word in order if word[0] == "a"] == ["a0", "a1", "a2"]


def test_what_never_ends_is_noticed() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0)

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with VirtualLoop(Random(1), 1000) as loop, pytest.raises(Livelock):
        loop.run(spin())
    with VirtualLoop(Random(1), 1000) as loop, pytest.raises(Stuck):
        loop.run(wait())
