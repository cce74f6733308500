"""The REST server, in the same event loop as everything else."""

import socket
from collections.abc import Collection, Sequence

from starlette.routing import BaseRoute

from taskyard_core.web import origins
from taskyard_core.web.server import HttpServer
from taskyard_scheduler.api.rest import app
from taskyard_scheduler.api.rest.gate import Gate
from taskyard_scheduler.api.services import Services

_KEEP_ALIVE_SECONDS = 75


class RestServer:
    """Serves until stopped. `names` are what it is called by those who reach it on a loopback address."""

    def __init__(self, services: Services, probes: Sequence[BaseRoute], names: Collection[str]) -> None:
        self._gate = Gate(app.build(services, probes), services.traffic.leaving, names)
        self._server = HttpServer(self._gate, keep_alive=_KEEP_ALIVE_SECONDS)

    async def start(self, listeners: list[socket.socket]) -> None:
        """Answer what comes in over the listening sockets."""
        self._gate.local = all(origins.is_loopback(listener.getsockname()[0]) for listener in listeners)
        await self._server.start(listeners)

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those under way `grace` seconds."""
        await self._server.stop(grace)
