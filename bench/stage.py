"""The cluster under test, and one worker that can come and go."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil

from taskyard import Client, WorkerInfo
from taskyard_server.dev.child import ChildCluster
from taskyard_server.dev.process import Process, ProcessSpec

LOOK_EVERY_SECONDS = 0.01
START_SECONDS = 30.0
STOP_SECONDS = 30.0
BENCH_CLIENT = "bench client"


class Stage:
    """A running cluster without workers, and a client for it."""

    def __init__(self, cluster: ChildCluster, client: Client, worker: tuple[str, ...], slots: int) -> None:
        self.cluster = cluster
        self.client = client
        self._worker = self._make_worker(worker, slots)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[WorkerInfo]:
        """A worker from entry to exit; entered when its session is there."""
        self._worker.start()
        try:
            yield await self._session()
        finally:
            await self._worker.stop(grace=STOP_SECONDS)

    async def drained(self, queue: str, last_id: str) -> float:
        """The time (as of `time.time`) when nothing of a queue is left to do; `last_id` was submitted last."""
        # Counts cost the more the more tasks wait, so nothing is asked until the end must be near.
        await self.client.wait(last_id)
        while await self._left(queue):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return time.time()

    def processor_seconds(self) -> dict[str, float]:
        """Processor time so far by role, children included. One dispatcher serves the worker, whichever it chose."""
        pids = [(process.role, process.pid) for process in self.cluster.processes()]
        if self._worker.running and self._worker.pid is not None:
            pids.append(("worker", self._worker.pid))
        seconds = {BENCH_CLIENT: _processor_seconds(os.getpid(), with_children=False)}
        for role, pid in pids:
            seconds[role] = seconds.get(role, 0.0) + _processor_seconds(pid, with_children=True)
        return seconds

    async def _left(self, queue: str) -> int:
        found = [q for q in await self.client.queues() if q.name == queue]
        return sum(q.scheduled + q.queued + q.running for q in found)

    async def _session(self) -> WorkerInfo:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for worker in await self.client.workers():
                if worker.pid == self._worker.pid:
                    return worker
            if not self._worker.running:
                break
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        raise self._worker.failure("has no session")

    def _make_worker(self, argv: tuple[str, ...], slots: int) -> Process:
        dispatchers = [p.addresses["session"] for p in self.cluster.processes() if p.role == "dispatcher"]
        settings = {"TASKYARD_DISPATCHERS": ",".join(dispatchers), "TASKYARD_WORKER_SLOTS": str(slots)}
        log = self.cluster.directory / "logs" / "worker.log"
        environment = {**os.environ, **settings, "TASKYARD_WORKER_NAME": "bench-worker"}
        return Process(ProcessSpec(name="worker", role="worker", argv=argv, environment=environment, log=log))


def stage(
    directory: Path, *, worker: tuple[str, ...], slots: int, dispatchers: int
) -> AbstractAsyncContextManager[Stage]:
    """A cluster of its own in `directory`, for one worker of so many slots, which a command runs."""
    return _stage(directory, worker, slots, dispatchers)


@asynccontextmanager
async def _stage(directory: Path, worker: tuple[str, ...], slots: int, dispatchers: int) -> AsyncIterator[Stage]:
    flags = ("--workers", "0", "--dispatchers", str(dispatchers))
    async with ChildCluster(directory, *flags) as cluster, Client(cluster.grpc) as client:
        yield Stage(cluster, client, worker, slots)


def _processor_seconds(pid: int, *, with_children: bool) -> float:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)] if with_children else [process]
    return sum(_own_seconds(member, ended_children=with_children) for member in family)


def _own_seconds(process: psutil.Process, *, ended_children: bool) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        # Counted with its parent from now on.
        return 0.0
    ended = times.children_user + times.children_system if ended_children else 0.0
    return float(times.user + times.system + ended)
