import asyncio

import pytest

from taskyard_core.runtime.budget import Budget


async def test_what_fits_does_not_wait() -> None:
    budget = Budget(10)
    async with asyncio.timeout(1):
        await budget.spend(4)
        await budget.spend(6)
    assert budget.spent == 10
    assert not budget.allows(1)


async def test_who_waits_is_served_in_order_of_arrival() -> None:
    budget = Budget(10)
    await budget.spend(10)
    served: list[str] = []

    async def spend(name: str, size: int) -> None:
        await budget.spend(size)
        served.append(name)

    waiting = [asyncio.create_task(spend(name, size)) for name, size in (("large", 8), ("small", 1))]
    await asyncio.sleep(0)
    budget.give_back(5)
    await asyncio.sleep(0)
    assert served == [], "the small one must not overtake the large one for ever"
    budget.give_back(5)
    await asyncio.gather(*waiting)
    assert served == ["large", "small"]


async def test_one_larger_than_the_budget_passes_alone() -> None:
    budget = Budget(10)
    await budget.spend(50)
    other = asyncio.create_task(budget.spend(1))
    await asyncio.sleep(0)
    assert not other.done()
    budget.give_back(50)
    await other


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_waiting_leaves_nothing_spent(granted: bool) -> None:
    budget = Budget(10)
    await budget.spend(10)
    first = asyncio.create_task(budget.spend(10))
    second = asyncio.create_task(budget.spend(3))
    await asyncio.sleep(0)
    if granted:
        budget.give_back(10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    if not granted:
        budget.give_back(10)
    await second
    assert budget.spent == 3


async def test_who_gave_up_in_the_moment_of_being_passed_over_is_no_error() -> None:
    budget = Budget(10)
    await budget.spend(10)
    waiting = [asyncio.create_task(budget.spend(5)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    budget.give_back(10)
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    await waiting[1]
    assert budget.spent == 5


async def test_what_was_larger_than_it_seemed_keeps_others_waiting() -> None:
    budget = Budget(10)
    await budget.spend(2)
    budget.overdraw(20)
    assert not budget.allows(1)
    budget.give_back(22)
    assert budget.allows(10)
