"""A worker that a test starts when it is ready for it."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.dev_cluster import DevCluster

SELECTOR = "late=yes"
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def late_worker(cluster: DevCluster, target: str = "taskyard.demo:worker") -> AsyncIterator[Process]:
    """The only worker that runs tasks with SELECTOR; inside the block it is starting or running."""
    dispatchers = ",".join(cluster.addresses(name)["session"] for name in cluster.pids("dispatcher"))
    options = ("--dispatchers", dispatchers, "--name", "late", "--label", SELECTOR, "--slots", "500")
    command = (sys.executable, "-m", "taskyard.cli", "worker", "run", target, *options)
    log = (cluster.directory / "logs" / "late.log").open("ab")
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()
