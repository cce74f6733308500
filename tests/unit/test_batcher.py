"""Group commit."""

import asyncio

import pytest

from taskyard_core.runtime.batcher import Batcher


class Commits:
    """A flush that waits for the test, and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def flush(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.started.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return [item * 10 for item in items]


async def test_a_lone_call_goes_at_once() -> None:
    commits = Commits()
    commits.gate.set()
    assert await Batcher(commits.flush, size=10).add([1, 2]) == [10, 20]


async def test_what_arrives_meanwhile_shares_the_next_batch() -> None:
    commits = Commits()
    batcher = Batcher(commits.flush, size=10)
    first = asyncio.create_task(batcher.add([1]))
    await commits.started.wait()
    later = [asyncio.create_task(batcher.add([number])) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    commits.gate.set()
    assert await asyncio.gather(first, *later) == [[10], [20], [30], [40]]
    assert commits.batches == [[1], [2, 3, 4]]


async def test_calls_of_one_turn_share_a_batch_up_to_its_size() -> None:
    commits = Commits()
    commits.gate.set()
    batcher = Batcher(commits.flush, size=4)
    await asyncio.gather(*(batcher.add([number, number]) for number in range(5)))
    assert [len(batch) for batch in commits.batches] == [4, 4, 2]


async def test_a_call_larger_than_a_batch_is_not_torn_apart() -> None:
    commits = Commits()
    commits.gate.set()
    assert len(await Batcher(commits.flush, size=2).add(list(range(7)))) == 7
    assert len(commits.batches) == 1


async def test_a_failure_reaches_every_call_of_its_batch_and_no_other() -> None:
    commits = Commits()
    batcher = Batcher(commits.flush, size=10)
    commits.error = ValueError("lost")
    calls = [asyncio.create_task(batcher.add([number])) for number in (1, 2)]
    await commits.started.wait()
    commits.gate.set()
    for call in calls:
        with pytest.raises(ValueError, match="lost"):
            await call
    commits.error = None
    assert await batcher.add([3]) == [30]


async def test_a_caller_that_gives_up_disturbs_nobody() -> None:
    commits = Commits()
    batcher = Batcher(commits.flush, size=10)
    impatient, patient = (asyncio.create_task(batcher.add([number])) for number in (1, 2))
    await commits.started.wait()
    impatient.cancel()
    commits.gate.set()
    assert await patient == [20]
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await batcher.close()
