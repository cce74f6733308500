"""grpc.health.v1 for an asyncio server."""

from collections.abc import Iterable

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

LIVENESS = "liveness"
"""The name under which the process says that its loop turns, whatever its stores do: what a liveness probe asks. It
also tells clients that the process is about to stop."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcHealth:
    """The health service of one server: the overall status "", one for each service named, and its liveness."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = ("", *services)
        self._servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs are older

    async def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server that has not started; everything is NOT_SERVING until told otherwise."""
        await self.serving(False)
        await self._servicer.set(LIVENESS, _SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def serving(self, yes: bool, *services: str) -> None:
        """Set the status of the services, of all if none is named."""
        for service in services or self._services:
            await self._servicer.set(service, _SERVING if yes else _NOT_SERVING)

    async def drain(self) -> None:
        """NOT_SERVING from now on, whatever is set later: the server is about to stop."""
        await self._servicer.enter_graceful_shutdown()
