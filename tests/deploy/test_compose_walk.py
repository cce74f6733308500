"""The walk through the stack, with processes for containers: a worker is killed; attempts and trace tell of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from taskyard_server.dev.port import LOOPBACK
from tests.deploy.dockerfile import configuration
from tests.deploy.stack import services
from tests.e2e.dev_cluster import DevCluster, dev_cluster
from tests.e2e.eventually import eventually
from tests.otlp import Collector, collecting

SOON = 60.0

Span = tuple[str | int, str, str | int]
"""Service, name without the task's type, attempt; 0 if there was none yet."""


def told(collector: Collector, trace: str) -> set[Span]:
    """What has come of a trace."""
    return {
        (span.resource["service.name"], span.name.partition(" ")[0], span.attributes.get("taskyard.task.attempt", 0))
        for span in collector.spans
        if span.trace == trace
    }


@asynccontextmanager
async def worker(
    cluster: DevCluster, name: str, variables: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The stack's worker as a process, which is asked to stop at the end."""
    dispatchers = [cluster.addresses(one)["session"] for one in cluster.pids("dispatcher")]
    own = {"TASKYARD_DISPATCHERS": ",".join(dispatchers), "TASKYARD_WORKER_HTTP_ADDRESS": f"{LOOPBACK}:0"}
    image = configuration(services()["worker"].values["build"]["target"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *image.entrypoint[1:], *image.arguments),
        env={**services()["worker"].environment, **variables, **own, "TASKYARD_WORKER_NAME": name},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        alive = process.returncode is None
        if alive:
            process.terminate()
        said, _ = await process.communicate()
        assert process.returncode == 0 or not alive, said.decode()


async def test_a_killed_worker_is_seen_in_attempts_and_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        collector, endpoint = await stack.enter_async_context(collecting())
        telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        for name, value in (services()["dispatcher"].environment | telemetry).items():
            if name.startswith("OTEL_"):
                monkeypatch.setenv(name, value)
        size = ("--schedulers", "1", "--dispatchers", "2", "--workers", "0")
        cluster = await stack.enter_async_context(dev_cluster(tmp_path / "cluster", *size))
        workers = {
            name: await stack.enter_async_context(worker(cluster, name, telemetry)) for name in ("worker-1", "worker-2")
        }
        task = await cluster.client.submit("demo.sleep", {"seconds": 2})

        async def attempts() -> list[Any]:
            return list((await cluster.get(f"/v1/tasks/{task.id}/attempts"))["attempts"])

        ((first),) = await eventually(attempts, within=SOON)
        workers[first["worker"]].kill()
        await workers[first["worker"]].wait()
        assert await task.result() == 2

        crashed, succeeded = await attempts()
        assert (crashed["outcome"], succeeded["outcome"]) == ("CRASHED", "SUCCEEDED")
        assert crashed["worker"] != succeeded["worker"]
        trace = (await cluster.get(f"/v1/tasks/{task.id}"))["traceparent"].split("-")[1]
        spans = [("scheduler", "submit", 0), ("worker", "run", 2)]
        spans += [("dispatcher", name, attempt) for name in ("queue", "claim", "outcome") for attempt in (1, 2)]
        expected = {(f"taskyard-{service}", name, attempt) for service, name, attempt in spans}

        async def complete() -> bool:
            return told(collector, trace) == expected

        await eventually(complete, within=SOON)
