"""A short chaos run on a development cluster: the fleet's workers, a workload, the drain, the history."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from chaos.history import audit, journal
from chaos.history.journal import Journal
from chaos.history.record import Facts, History
from chaos.workloads import Group, Stage, Workload
from taskyard import Client
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually

BACK = 0.5
"""Seconds until a worker that died is started again."""


class Fleet:
    """Worker processes that are started again whenever they die."""

    def __init__(self, cluster: DevCluster, logs: Path) -> None:
        self._dispatchers = ",".join(cluster.addresses(name)["session"] for name in cluster.pids("dispatcher"))
        self._logs = logs
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.stopping = False

    def kill(self, name: str) -> None:
        """Ends a worker as nothing else can."""
        self._running[name].kill()

    async def connected(self, client: Client) -> None:
        """Waits until each of them has its session."""

        async def all_there() -> bool:
            return {worker.name for worker in await client.workers()} >= self._running.keys() > set()

        await eventually(all_there, within=30)

    async def keep(self, name: str, group: Group) -> None:
        """Runs one worker, again and again."""
        while not self.stopping:
            command = (sys.executable, "-m", "chaos.worker", "--log", str(self._logs / f"{name}.jsonl"))
            environment = {**os.environ, "TASKYARD_DISPATCHERS": self._dispatchers, "TASKYARD_WORKER_NAME": name}
            self._running[name] = await asyncio.create_subprocess_exec(*command, *group.arguments(), env=environment)
            await self._running[name].wait()
            await asyncio.sleep(BACK)

    async def stop(self) -> None:
        """Stops all of them."""
        self.stopping = True
        for process in self._running.values():
            if process.returncode is None:
                process.terminate()


@asynccontextmanager
async def fleet(cluster: DevCluster, logs: Path, groups: Iterable[Group]) -> AsyncIterator[Fleet]:
    """The groups' workers while the block runs."""
    running = Fleet(cluster, logs)
    async with asyncio.TaskGroup() as tasks:
        for group in groups:
            for number in range(group.workers):
                tasks.create_task(running.keep(f"{group.name}-{number + 1}", group))
        try:
            yield running
        finally:
            await running.stop()


class Run:
    """One run: its journals, its audit, and what it found."""

    def __init__(self, cluster: DevCluster, directory: Path, connection: audit.Connection) -> None:
        self.cluster = cluster
        self.connection = connection
        self.logs = directory
        self._origin = time.time()

    def now(self) -> float:
        """Seconds since it began."""
        return time.time() - self._origin

    async def load(self, workload: Workload, *, rate: float, seconds: float, seed: int = 1) -> None:
        """Runs the workload for a while."""
        with Journal(self.logs / "client.jsonl") as writing:
            stage = Stage(
                client=self.cluster.client,
                journal=writing,
                rate=rate,
                stop=asyncio.Event(),
                draw=random.Random(seed),
                clock=time.monotonic,
                database=lambda: self.cluster.addresses("postgres")["url"],
            )
            await workload.setup(stage)
            asyncio.get_running_loop().call_later(seconds, stage.stop.set)
            await workload.start(stage)

    async def drained(self, *, within: float) -> None:
        """Waits until every task has ended."""

        async def ended() -> bool:
            count = "SELECT count(*) FROM taskyard.task WHERE finished_at IS NULL"
            return bool(await self.connection.fetchval(count) == 0)

        await eventually(ended, within=within, every=0.2)

    async def lost_a_session(self, *, within: float) -> None:
        """Waits until a session was given up."""

        async def lost() -> bool:
            return bool(await self.connection.fetchval("SELECT count(*) FROM taskyard.session WHERE NOT live"))

        await eventually(lost, within=within, every=0.2)

    async def history(self, *, healed_at: float | None = None) -> History:
        """All that was recorded."""
        found = History(Facts(healed_at=healed_at))
        journal.load(found, self.logs, self._origin)
        await audit.load(found, self.connection, self._origin)
        return found


@asynccontextmanager
async def chaos_run(cluster: DevCluster, directory: Path) -> AsyncIterator[Run]:
    """Records what happens to the cluster from here on."""
    url = cluster.addresses("postgres")["url"]
    connection = await asyncpg.connect(url)
    try:
        await audit.install(connection)
        yield Run(cluster, directory, connection)
    finally:
        await connection.close()
