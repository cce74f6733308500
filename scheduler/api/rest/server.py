"""The REST server, in the same event loop as everything else."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.routing import BaseRoute

from scheduler.api.rest import app
from scheduler.api.services import Services

_KEEP_ALIVE_SECONDS = 75


class RestServer:
    """Serves until stopped."""

    def __init__(self, services: Services, probes: Sequence[BaseRoute]) -> None:
        config = uvicorn.Config(
            app.build(services, probes),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, listeners: list[socket.socket]) -> None:
        """Answer what comes in over the listening sockets."""
        self._serving = asyncio.create_task(self._server.serve(listeners), name="rest-server")
        await self._server.listening.wait()

    async def stop(self, grace: float) -> None:
        """Take no more requests, and give those under way `grace` seconds."""
        if self._serving is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    """uvicorn as a part of a process: it tells when it listens and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
