"""Names that clients make up: selectors that nobody satisfies, queues used once, listings that find nothing."""

import asyncio
import random
from collections.abc import Callable

import httpx

from chaos.abuse.target import NAMESPACE, Act, Target, again_and_again
from taskyard import TaskRequest

NAMES = 30_000
BATCH = 1_000
LISTERS = 30


async def lanes(target: Target) -> None:
    """A selector for each task, which no worker satisfies."""
    await _submit_all(
        target, lambda number: TaskRequest("abuse.lane", selector=f"nobody=n{number}", expires_at=target.expires_at)
    )


async def queues(target: Target) -> None:
    """A queue for each task."""
    await _submit_all(
        target, lambda number: TaskRequest("abuse.queue", queue=f"q{number}", expires_at=target.expires_at)
    )


async def lists(target: Target) -> None:
    """Thirty clients that list by what no index has, and ask for all backlogs, queues and metrics beside it."""
    async with httpx.AsyncClient(timeout=30.0, limits=httpx.Limits(max_connections=LISTERS)) as http:
        await asyncio.gather(*(again_and_again(target, 0.5, _list(http)) for _ in range(LISTERS)))


def _list(http: httpx.AsyncClient) -> Act:
    async def ask(target: Target) -> None:
        base = random.choice(list(target.rest))
        word = random.choice(("type=nobody.has", "queue=nobody", "error_type=Nobody", "state=EXPIRED&type=abuse.lane"))
        path = random.choice((f"/v1/tasks?{word}&page_size=1000", f"/v1/queues?namespace={NAMESPACE}", "/v1/backlog"))
        await http.get(base + path)

    return ask


async def _submit_all(target: Target, request: Callable[[int], TaskRequest]) -> None:
    async with target.client() as client:
        for first in range(0, NAMES, BATCH):
            if target.left <= 0:
                return
            await client.submit_many([request(number) for number in range(first, first + BATCH)])
            await asyncio.sleep(0.5)
