"""Redis is emptied while a hundred thousand tasks are queued: how long dispatch pauses, and when lanes are full again.

The tasks take a while each, so that the queue stays long and dispatch goes on evenly but for the loss.
"""

import asyncio
import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import asyncpg

from chaos.backends.cluster import Cluster
from chaos.history import audit
from chaos.measures.spread import spread
from chaos.progress import unfinished
from chaos.result import Recovery
from taskyard import Client, TaskHandle, TaskRequest

QUEUED = 100_000
TASK_SECONDS = 8.0
"""Up to so long, at random: of equal length they would start in waves, with pauses between them."""
STEADY_SECONDS = 10.0
FULL_SECONDS = 60.0
LOOK_SECONDS = 0.1
PAUSE_BOUND, FULL_BOUND = 2.0, 10.0
# As the database's clock has them: when tasks were claimed since a moment.
CLAIMS = """
SELECT extract(epoch FROM at)::float8 AS at FROM taskyard_audit.task
WHERE new = 'RUNNING' AND old = 'QUEUED' AND at >= to_timestamp({since}) ORDER BY seq
"""


class Refill(NamedTuple):
    """What one loss did: seconds of the longest pause in dispatch, and seconds until the lanes held all again."""

    pause: float
    full: float


async def measure_refills(cluster: Cluster, count: int, say: Callable[[str], None]) -> list[Refill]:
    """Wipes Redis so many times. The cluster is not entered yet, and worth nothing afterwards."""
    async with cluster:
        await cluster.wait_whole(120.0)
        connection = await asyncpg.connect(cluster.postgres_url)
        await audit.install(connection)
        await connection.close()
        async with Client(",".join(cluster.grpc_addresses)) as client:
            await _queue(client)
            found: list[Refill] = []
            for number in range(count):
                await asyncio.sleep(STEADY_SECONDS)
                found.append(await _refill(cluster))
                say(f"wipe {number + 1}: paused {found[-1].pause:.2f} s, full after {found[-1].full:.2f} s")
        return found


def as_recoveries(refills: list[Refill]) -> list[Recovery]:
    """The same as results."""
    return [
        _recovery("Redis wiped, 100,000 queued: tasks", "the longest pause", PAUSE_BOUND, [r.pause for r in refills]),
        _recovery("Redis wiped, 100,000 queued: lanes", "until all are back", FULL_BOUND, [r.full for r in refills]),
    ]


async def _queue(client: Client) -> None:
    draw = random.Random(QUEUED)
    requests = (
        TaskRequest("chaos.placed", {"token": str(number), "seconds": draw.random() * TASK_SECONDS})
        for number in range(QUEUED + 10_000)
    )
    for outcome in await client.submit_many(requests):
        if not isinstance(outcome, TaskHandle):
            raise outcome


async def _refill(cluster: Cluster) -> Refill:
    wiped = time.time()
    await cluster.redis_command("FLUSHALL")
    full = await _until_full(cluster)
    await asyncio.sleep(max(0.0, wiped + FULL_BOUND - time.time()))
    claims = [row["at"] for row in await cluster.postgres_execute(CLAIMS.format(since=wiped))]
    moments = [wiped, *claims, time.time()]
    return Refill(max(later - earlier for earlier, later in pairwise(moments)), full - wiped)


async def _until_full(cluster: Cluster) -> float:
    """When the lanes held as many entries as there were tasks queued."""
    deadline = time.time() + FULL_SECONDS
    while time.time() < deadline:
        # In this order: a task that is claimed in between counts as back rather than as missing, for ever.
        streams, looked = (await cluster.sizes()).streams, time.time()
        left = await unfinished(cluster)
        if left is not None and sum(size.length - size.pending for size in streams.values()) >= left.queued:
            return looked
        await asyncio.sleep(LOOK_SECONDS)
    raise TimeoutError(f"the lanes were not full after {FULL_SECONDS:g} s")


def _recovery(name: str, what: str, bound: float, seconds: list[float]) -> Recovery:
    of_alone = spread(seconds)
    return Recovery(name, what, bound, seconds, [], of_alone, None, of_alone is not None and of_alone.p99 <= bound)
