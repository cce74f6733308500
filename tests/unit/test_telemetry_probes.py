"""The event loop's lag, and what tells orchestrators of it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.health import GrpcHealth
from taskyard_core.telemetry.lag import LagProbe
from taskyard_core.telemetry.probes import ProbeServer


class Clock:
    """Moves when told to, and sleeps `late` longer than asked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.late = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late


async def test_lag_is_how_late_the_probe_wakes_up() -> None:
    clock = Clock()
    probe = LagProbe(interval=0.5, clock=clock, sleep=clock.sleep)
    assert probe.worst() == 0
    clock.late = 0.25
    await probe.run_once()
    clock.late = 0.0
    await probe.run_once()
    assert probe.worst() == pytest.approx(0.25)


async def test_the_worst_is_forgotten_after_a_minute() -> None:
    clock = Clock()
    probe = LagProbe(interval=0.5, clock=clock, sleep=clock.sleep)
    clock.late = 3.0
    await probe.run_once()
    clock.late = 0.0
    for _ in range(119):
        await probe.run_once()
    assert probe.worst() == pytest.approx(3.0)
    await probe.run_once()
    assert probe.worst() == pytest.approx(0.0)


async def test_a_loop_that_has_not_turned_for_ten_seconds_is_not_live() -> None:
    clock = Clock()
    probe = LagProbe(clock=clock, sleep=clock.sleep)
    clock.now += 9.9
    assert probe.live()
    clock.now += 0.2
    assert not probe.live()
    await probe.run_once()
    assert probe.live()


class Process:
    def __init__(self) -> None:
        self.live = True
        self.reason: str | None = None
        self.broken = False

    async def ready(self) -> str | None:
        if self.broken:
            raise ConnectionError("secret address")
        return self.reason


@asynccontextmanager
async def serving(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    server = ProbeServer(
        "127.0.0.1:0", Telemetry.silent().metrics, lambda: process.live, process.ready, names=["own.example"]
    )
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://{server.address}") as client:
            yield client
    finally:
        await server.stop()


async def test_probes_over_http() -> None:
    process = Process()
    handler = signal.getsignal(signal.SIGTERM)
    async with serving(process) as client:
        assert signal.getsignal(signal.SIGTERM) is handler
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        process.live, process.reason = False, "postgres does not answer"
        assert (await client.get("/livez")).status_code == 503
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "postgres does not answer\n")
        process.broken = True
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "check failed: ConnectionError\n")
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "taskyard_event_loop_lag_seconds" in metrics.text
        assert (await client.get("/nothing")).status_code == 404


async def test_names_of_others_are_unknown_on_a_loopback_address() -> None:
    async with serving(Process()) as client:
        for path in ("/metrics", "/livez", "/readyz", "/nothing"):
            answer = await client.get(path, headers={"host": "evil.example:8081"})
            assert (answer.status_code, "not called 'evil.example:8081'" in answer.text) == (421, True)
        for name in ("localhost", "127.0.0.1:8081", "own.example:1"):
            assert (await client.get("/livez", headers={"host": name})).status_code == 200


async def test_an_address_in_use_is_refused() -> None:
    process = Process()
    async with serving(process) as client:
        address = f"127.0.0.1:{client.base_url.port}"
        with pytest.raises(OSError, match="in use"):
            await ProbeServer(address, Telemetry.silent().metrics, lambda: True, process.ready).start()


async def test_grpc_health_follows_the_process() -> None:
    server = grpc.aio.server()
    health = GrpcHealth(["taskyard.v1.WorkerService"])
    await health.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def statuses() -> list[int]:
            requests = [health_pb2.HealthCheckRequest(service=name) for name in ("", "taskyard.v1.WorkerService")]
            answers = await asyncio.gather(*(stub.Check(request) for request in requests))
            return [answer.status for answer in answers]

        async def alive() -> bool:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service="liveness"))
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        assert await statuses() == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
        assert await alive()
        await health.serving(True)
        assert await statuses() == [health_pb2.HealthCheckResponse.SERVING] * 2
        await health.serving(False, "taskyard.v1.WorkerService")
        assert await statuses() == [
            health_pb2.HealthCheckResponse.SERVING,
            health_pb2.HealthCheckResponse.NOT_SERVING,
        ]
        assert await alive()
        await health.drain()
        await health.serving(True)
        assert await statuses() == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
    await server.stop(None)
