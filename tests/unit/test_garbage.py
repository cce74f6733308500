"""Cycles that are few and large are collected although hardly anything was allocated."""

import asyncio
import contextlib
import gc
import weakref

from taskyard_core.runtime import garbage


class Refused:
    """As a call that was refused: it holds itself, and something large."""

    def __init__(self) -> None:
        self.itself = self


class Looks:
    """A clock whose time passes at once, and ends after so many looks."""

    def __init__(self, most: int) -> None:
        self.left = most

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise asyncio.CancelledError


async def collected(sizes: list[int]) -> bool:
    """Whether a cycle is gone once the process has had these sizes."""
    gc.disable()
    try:
        alive = weakref.ref(Refused())
        steps = iter([*sizes, sizes[-1]])
        try:
            await garbage.watch(Looks(len(sizes) - 1), lambda: next(steps))
        except asyncio.CancelledError:
            return alive() is None
        return False
    finally:
        gc.enable()


async def test_a_process_that_grew_looks_for_cycles() -> None:
    assert await collected([100, 100 + garbage.GROWTH + 1])


async def test_a_process_that_did_not_grow_does_not() -> None:
    assert not await collected([100, 100 + garbage.GROWTH, 200])


async def test_growth_is_counted_from_the_least_that_it_was() -> None:
    assert await collected([garbage.GROWTH, 0, garbage.GROWTH + 1])


async def trims(sizes: list[int]) -> int:
    """How often memory is given back while the process has these sizes."""
    done = list[None]()
    steps = iter([*sizes, *[sizes[-1]] * 10])
    with contextlib.suppress(asyncio.CancelledError):
        await garbage.watch(Looks(len(sizes) - 1), lambda: next(steps), lambda: done.append(None))
    return len(done)


async def test_a_process_that_stays_large_gives_back_what_is_free_once_a_minute() -> None:
    large = garbage.GROWTH + 1
    assert await trims([0, *[large] * garbage.LOOKS_TO_TRIM]) == 1
    assert await trims([0, *[large] * (garbage.LOOKS_TO_TRIM - 2)]) == 0


async def test_a_process_as_small_as_it_began_does_not() -> None:
    assert await trims([0, *[garbage.GROWTH] * 3 * garbage.LOOKS_TO_TRIM]) == 0
