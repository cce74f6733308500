"""Probes, asked as a kubelet asks them."""

import asyncio
import http.client
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.deploy.chart import Manifest

_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True)
class Target:
    """Whom to ask."""

    address: str
    ports: Mapping[str, int]
    run: Callable[..., Awaitable[int]]
    """Runs a command in the container."""

    def port(self, wanted: int | str) -> int:
        """A port, by number or name."""
        return wanted if isinstance(wanted, int) else self.ports[wanted]


async def answer(probe: Manifest, target: Target) -> str | None:
    """Why the probe fails, None if it succeeds."""
    patience = float(probe.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(patience):
            return await _ask(probe, target, patience)
    except (OSError, TimeoutError, http.client.HTTPException, grpc.aio.AioRpcError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


async def _ask(probe: Manifest, target: Target, patience: float) -> str | None:
    match probe:
        case {"httpGet": {"path": path, "port": port}}:
            return await asyncio.to_thread(_get, target.address, target.port(port), path, patience)
        case {"grpc": {"port": port, **options}}:
            return await _check(f"{target.address}:{port}", str(options.get("service", "")), patience)
        case {"tcpSocket": {"port": port}}:
            _, writer = await asyncio.open_connection(target.address, target.port(port))
            writer.close()
            await writer.wait_closed()
            return None
        case {"exec": {"command": command}}:
            code = await target.run(*command)
            return None if code == 0 else f"exit code {code}"
    raise ValueError(f"a probe of a new kind: {probe}")


def _get(host: str, port: int, path: str, patience: float) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=patience)
    try:
        connection.request("GET", path, headers={"User-Agent": "kube-probe/1.34", "Connection": "close"})
        reply = connection.getresponse()
        text = reply.read(10_240).decode(errors="replace").strip()
        return None if 200 <= reply.status < 400 else f"{reply.status}: {text}"
    finally:
        connection.close()


async def _check(address: str, service: str, patience: float) -> str | None:
    async with grpc.aio.insecure_channel(address, options=_OWN_CONNECTION) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        reply = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=patience)
    serving = health_pb2.HealthCheckResponse.SERVING
    return None if reply.status == serving else health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


class Tally:
    """What a probe's answers amount to: it takes as many alike in a row as the probe says."""

    def __init__(self, probe: Manifest, *, verdict: bool | None) -> None:
        self._needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
        self._last: bool | None = None
        self._run = 0
        self.verdict = verdict

    def count(self, success: bool) -> None:
        """Take one more answer into account."""
        self._run = self._run + 1 if success is self._last else 1
        self._last = success
        if self._run >= self._needed[success]:
            self.verdict = success
