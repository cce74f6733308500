"""How long a task waits from the call of `submit` to its handler's start, on an idle cluster."""

import asyncio
import time

from bench.figure import Figure, percentile
from bench.stage import Stage
from taskyard import Client, TaskHandle

TYPE = "demo.clock"
WARM_UP = 50
NANOS_PER_MILLI = 1e6


async def measure(stage: Stage, *, rate: float, seconds: float) -> list[Figure]:
    """p50 and p99 of `rate` tasks a second. Raises TaskyardError when one is refused or fails."""
    async with stage.worker():
        await _latencies(stage.client, rate, WARM_UP)
        found = await _latencies(stage.client, rate, round(rate * seconds))
    name = f"submit to start at {rate:g}/s"
    return [Figure(f"{name}, p{percent}", "ms", (percentile(found, percent),)) for percent in (50, 99)]


async def _latencies(client: Client, rate: float, tasks: int) -> list[float]:
    began = time.monotonic()
    calls: list[asyncio.Task[tuple[int, TaskHandle]]] = []
    for number in range(tasks):
        # By the schedule and not by the last answer: a slow one must not make the next ones look fast.
        await asyncio.sleep(began + number / rate - time.monotonic())
        calls.append(asyncio.create_task(_submit(client)))
    submitted = await asyncio.gather(*calls)
    # Asked for at the end, so that watching costs nothing while it is measured.
    starts = await asyncio.gather(*(handle.result() for _, handle in submitted))
    return [(start - called) / NANOS_PER_MILLI for (called, _), start in zip(submitted, starts, strict=True)]


async def _submit(client: Client) -> tuple[int, TaskHandle]:
    called = time.time_ns()
    return called, await client.submit(TYPE, queue="bench-latency")
