"""Group commit: what arrives while a batch is under way goes into the next one.

There is no timer, so an idle batcher adds no delay, and a busy one makes its batches as large as they need to be, by
number and, where items have a weight, by weight. The same mechanism serves submits, claims, completions and outbox
deletions.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Flush = Callable[[list[Item]], Awaitable[Sequence[Result]]]
"""Handles a batch; returns one result per item, in their order."""


class Batcher(Generic[Item, Result]):
    """Merges concurrent calls into batches of at most `size` items (one call's items stay together).

    With `weigh` a batch also weighs at most `weight` in all; a call that alone is larger or heavier goes alone. At most
    `parallel` batches are under way at once. A batch that fails fails each call in it.
    """

    def __init__(
        self,
        flush: Flush[Item, Result],
        *,
        size: int,
        parallel: int = 1,
        weigh: Callable[[Item], int] | None = None,
        weight: int = 0,
    ) -> None:
        self._flush = flush
        self._size = size
        self._idle = parallel
        self._weigh = weigh
        self._weight = weight
        self._waiting: deque[tuple[Sequence[Item], int, asyncio.Future[Sequence[Result]]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def add(self, items: Sequence[Item]) -> Sequence[Result]:
        """Results of the items, once their batch is done; raises what the flush raises."""
        if not items:
            return []
        future: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, sum(map(self._weigh, items)) if self._weigh else 0, future))
        if self._idle:
            self._start()
        return await future

    async def close(self) -> None:
        """Wait until all that was added is done."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        self._idle -= 1
        task = asyncio.get_running_loop().create_task(self._work())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self) -> None:
        # One turn of the loop, so that calls made in the same turn share the batch.
        await asyncio.sleep(0)
        while self._waiting:
            calls = self._next_calls()
            items = [item for call, _ in calls for item in call]
            try:
                _resolve(calls, await self._flush(items))
            except BaseException as error:
                _reject(calls, error)
                if not isinstance(error, Exception):
                    self._idle += 1
                    raise
        self._idle += 1

    def _next_calls(self) -> list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]]:
        items, weight, future = self._waiting.popleft()
        calls, size = [(items, future)], len(items)
        while self._waiting:
            items, more, future = self._waiting[0]
            size, weight = size + len(items), weight + more
            if size > self._size or weight > self._weight:
                break
            self._waiting.popleft()
            calls.append((items, future))
        return calls


def _resolve(calls: list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]], results: Sequence[Result]) -> None:
    start = 0
    for items, future in calls:
        end = start + len(items)
        if not future.done():
            future.set_result(results[start:end])
        start = end


def _reject(calls: list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]], error: BaseException) -> None:
    for _, future in calls:
        if not future.done():
            future.set_exception(error)
