"""A client that submits at a steady pace, whatever happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, NamedTuple

from taskyard import Client, TaskyardError

PACE = 0.02
"""Seconds between submits."""
KINDS: tuple[tuple[str, Any], ...] = (("demo.echo", "a word"), ("demo.sleep", {"seconds": 0.05}))


class Refusal(NamedTuple):
    """A submit that failed, and how long it took to say so."""

    error: TaskyardError
    seconds: float


class Load:
    """What was submitted so far: `ids` of acknowledged tasks with the moment (monotonic), and what was refused."""

    def __init__(self) -> None:
        self.accepted: dict[str, float] = {}
        self.refusals: list[Refusal] = []

    @property
    def ids(self) -> list[str]:
        """Acknowledged tasks, in order."""
        return list(self.accepted)

    def between(self, since: float, until: float) -> list[str]:
        """Tasks that were acknowledged between two moments."""
        return [task for task, moment in self.accepted.items() if since <= moment <= until]

    def first_after(self, since: float) -> float:
        """The moment of the first acknowledgement after another moment."""
        return min(moment for moment in self.accepted.values() if moment > since)

    async def submit(self, client: Client, number: int) -> None:
        """Submit one task and note what comes of it."""
        type_, payload = KINDS[number % len(KINDS)]
        began = time.monotonic()
        try:
            handle = await client.submit(type_, payload)
        except TaskyardError as error:
            self.refusals.append(Refusal(error, time.monotonic() - began))
        else:
            self.accepted[handle.id] = time.monotonic()


@asynccontextmanager
async def steady_load(client: Client) -> AsyncIterator[Load]:
    """Submits short tasks every PACE seconds inside the block, without waiting for one another."""
    load = Load()
    submitting = asyncio.create_task(_submit_steadily(load, client, count()))
    try:
        yield load
    finally:
        submitting.cancel()
        with suppress(asyncio.CancelledError):
            await submitting


async def _submit_steadily(load: Load, client: Client, numbers: Iterator[int]) -> None:
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(load.submit(client, number))
            await asyncio.sleep(PACE)
