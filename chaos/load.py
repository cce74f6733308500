"""The load of a run: one workload, usually a mix of all, from start to stop."""

import asyncio
import random
import time

from chaos.history.journal import Journal
from chaos.workloads import Stage, Workload
from taskyard import Client


class Load:
    """A workload that runs from `start` to `stop`, with so many tasks a second."""

    def __init__(self, client: Client, journal: Journal, workload: Workload, *, rate: float, seed: int) -> None:
        self._workload = workload
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._stage = Stage(
            client=client,
            journal=journal,
            rate=rate,
            stop=self._stop,
            draw=random.Random(seed),
            clock=time.monotonic,
        )

    async def start(self) -> None:
        """Sets the workload up and lets it run."""
        await self._workload.setup(self._stage)
        self._running = asyncio.create_task(self._workload.start(self._stage), name=f"workload {self._workload.name}")

    async def stop(self) -> None:
        """Ends the load; returns when every call has returned. Raises what the workload raised."""
        self._stop.set()
        if self._running is not None:
            await self._running

    def failed(self) -> None:
        """Raises the error of a workload that ended by one."""
        if self._running is not None and self._running.done():
            self._running.result()
