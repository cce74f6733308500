"""The walk through the stack, with processes for containers: a worker is killed; attempts and trace tell of it."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services_of_wire

from taskyard_server.dev.port import LOOPBACK
from tests.deploy.stack import COMPOSE, services
from tests.e2e.dev_cluster import DevCluster, dev_cluster
from tests.e2e.eventually import eventually

SOON = 60.0

Span = tuple[str, str, int]
"""Service, name without the task's type, attempt; 0 if there was none yet."""


class Collector(services_of_wire.TraceServiceServicer):
    """Takes spans over OTLP, as the collector of the stack does."""

    def __init__(self) -> None:
        self.traces: dict[str, set[Span]] = {}

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Notes what came."""
        for resource in request.resource_spans:
            (service,) = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                found = [one.value.int_value for one in span.attributes if one.key == "taskyard.task.attempt"]
                trace = self.traces.setdefault(span.trace_id.hex(), set())
                trace.add((service, span.name.partition(" ")[0], found[0] if found else 0))
        return wire.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector and where it is."""
    server, collector = grpc.aio.server(), Collector()
    services_of_wire.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    try:
        yield collector, f"http://{LOOPBACK}:{port}"
    finally:
        await server.stop(0)


def arguments() -> list[str]:
    """What the traced worker's image starts."""
    lines = (COMPOSE / "worker" / "Dockerfile").read_text()
    found: list[str] = json.loads(re.findall(r"^CMD (\[.*\])$", lines, re.MULTILINE)[0])
    return found


@asynccontextmanager
async def worker(
    cluster: DevCluster, name: str, variables: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The stack's worker as a process, which is asked to stop at the end."""
    dispatchers = [cluster.addresses(one)["session"] for one in cluster.pids("dispatcher")]
    own = {"TASKYARD_DISPATCHERS": ",".join(dispatchers), "TASKYARD_WORKER_HTTP_ADDRESS": f"{LOOPBACK}:0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard.cli", *arguments()),
        env={**services()["worker"].environment, **variables, **own, "TASKYARD_WORKER_NAME": name},
        cwd=COMPOSE / "worker",
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
        told = [("scheduler", "submit", 0), ("worker", "run", 2)]
        told += [("dispatcher", name, attempt) for name in ("queue", "claim", "outcome") for attempt in (1, 2)]
        expected = {(f"taskyard-{service}", name, attempt) for service, name, attempt in told}

        async def complete() -> bool:
            return collector.traces.get(trace) == expected

        await eventually(complete, within=SOON)
