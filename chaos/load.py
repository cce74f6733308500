"""The load of a run: one workload, usually a mix of all, from start to stop."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from chaos.history.journal import Journal
from chaos.workloads import Stage, Workload
from taskyard import Client

OUTSTANDING = 6_000
"""Tasks that clients leave unfinished before they wait: enough for an outage of seconds, few enough to catch up."""


def spread_clients(addresses: Sequence[str]) -> list[Client]:
    """A client for each scheduler that prefers this one: a client stays with the first that answers."""
    return [Client(",".join([*addresses[turn:], *addresses[:turn]])) for turn in range(len(addresses))]


class Load:
    """A workload that runs from `start` to `stop` once for each client, with so many tasks a second in all.

    `database` says where Postgres is now.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        journal: Journal,
        workload: Callable[[], Workload],
        *,
        rate: float,
        seed: int,
        database: Callable[[], str],
    ) -> None:
        self._stop = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._loads = [
            (
                workload(),
                Stage(
                    client=client,
                    journal=journal,
                    rate=rate / len(clients),
                    stop=self._stop,
                    draw=random.Random(f"{seed} {number}"),
                    outstanding=OUTSTANDING // len(clients),
                    clock=time.monotonic,
                    database=database,
                ),
            )
            for number, client in enumerate(clients)
        ]

    async def start(self) -> None:
        """Sets the workloads up and lets them run."""
        for workload, stage in self._loads:
            await workload.setup(stage)
        self._running = [
            asyncio.create_task(workload.start(stage), name=f"workload {workload.name}")
            for workload, stage in self._loads
        ]

    async def stop(self) -> None:
        """Ends the load; returns when every call has returned. Raises what a workload raised."""
        self._stop.set()
        await asyncio.gather(*self._running)

    def failed(self) -> None:
        """Raises the error of a workload that ended by one."""
        for task in self._running:
            if task.done():
                task.result()
