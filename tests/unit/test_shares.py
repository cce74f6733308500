"""Bytes under way, shared among callers."""

import asyncio

import pytest

from taskyard_scheduler.api.failures import Failure, Reason
from taskyard_scheduler.api.shares import Shares
from taskyard_scheduler.api.traffic import Direction


async def test_a_greedy_caller_waits_for_itself_and_nobody_else_does() -> None:
    shares = Shares(100, 30, lambda: None)
    await shares.spend("greedy", 30)
    waiting = [asyncio.create_task(shares.spend("greedy", 10)) for _ in range(20)]
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await shares.spend("modest", 30)
    assert shares.spent == 60
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    shares.give_back("greedy", 30)
    shares.give_back("modest", 30)
    assert (shares.spent, shares.callers) == (0, 0)


async def test_nothing_is_kept_of_callers_that_are_gone() -> None:
    shares = Shares(10, 10, lambda: None)
    for number in range(1000):
        await shares.spend(str(number), 10)
        shares.give_back(str(number), 10)
    assert shares.callers == 0


async def test_who_gives_up_in_the_line_gives_its_share_back() -> None:
    shares = Shares(10, 10, lambda: None)
    await shares.spend("first", 10)
    waiting = asyncio.create_task(shares.spend("second", 5))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert shares.callers == 1
    shares.give_back("first", 10)
    assert shares.spent == 0


async def test_slow_clients_lose_their_time_once_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskyard_scheduler.api.traffic._HURRIED_SECONDS", 0.0)
    direction = Direction(10, 10, patient=3600)
    moving = asyncio.Event()

    async def slow() -> None:
        async with direction.room("slow", 10), direction.moving("too slow"):
            moving.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(slow())
    await moving.wait()
    async with direction.room("other", 10):
        pass
    with pytest.raises(Failure) as refused:
        await task
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS
    assert refused.value.retry_after
    assert direction.spent == 0


async def test_who_waits_too_long_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskyard_scheduler.api.traffic._PATIENCE_SECONDS", 0.0)
    direction = Direction(10, 10, patient=3600)
    async with direction.room("first", 10):
        with pytest.raises(Failure) as refused:
            await direction.spend("second", 1)
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS
    assert (direction.spent, direction.callers) == (0, 0)


async def test_each_slow_client_has_its_own_time_and_others_go_on() -> None:
    direction = Direction(10, 10, patient=0.05)
    with pytest.raises(Failure, match="first"):
        async with direction.moving("first"):
            await asyncio.Event().wait()
    async with direction.moving("quick"):
        pass
    await asyncio.sleep(0.06)
    with pytest.raises(Failure, match="second"):
        async with direction.moving("second"):
            await asyncio.Event().wait()


async def test_who_is_cancelled_in_the_moment_of_being_too_slow_stays_cancelled() -> None:
    direction = Direction(10, 10, patient=0.0)

    async def slow() -> None:
        async with direction.room("slow", 10), direction.moving("too slow"):
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.Event().wait()

    task = asyncio.create_task(slow())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert direction.spent == 0
