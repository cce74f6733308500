"""A server of an ASGI application, as a part of a process."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from taskyard_core.web.connections import Connections, limited


class HttpServer:
    """Serves in the running event loop until stopped."""

    def __init__(self, app: Any, *, keep_alive: int) -> None:
        self.connections = Connections()
        config = uvicorn.Config(
            app,
            http=limited(self.connections),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, listeners: list[socket.socket]) -> None:
        """Answer what comes in over the listening sockets."""
        self._serving = asyncio.create_task(self._server.serve(listeners), name="http-server")
        await self._server.listening.wait()

    async def stop(self, grace: float | None = None) -> None:
        """Take no more requests, and give those under way `grace` seconds; by default as long as they take."""
        if self._serving is None:
            return
        if grace is not None:
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
