"""`/metrics`, `/livez` and `/readyz`: as routes for an app, and as a server of their own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from taskyard_core.runtime.listening import listen
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.web import origins
from taskyard_core.web.server import HttpServer

Live = Callable[[], bool]
"""Whether this process itself works; asks no store."""
Ready = Callable[[], Awaitable[str | None]]
"""Why this process cannot do its work right now, or None if it can."""

_KEEP_ALIVE_SECONDS = 5

_log = logging.getLogger(__name__)


def probe_routes(metrics: Metrics, live: Live, ready: Ready) -> list[Route]:
    """The three routes; `/livez` and `/readyz` answer 200 or 503 with a line of text."""

    async def show_metrics(_: Request) -> Response:
        # In a thread: with many kinds of tasks the text takes longer than a task should wait.
        body, content_type = await asyncio.to_thread(metrics.exposition)
        return Response(body, headers={"content-type": content_type})

    async def show_live(_: Request) -> Response:
        return PlainTextResponse("ok\n") if live() else PlainTextResponse("event loop stalled\n", 503)

    async def show_ready(_: Request) -> Response:
        try:
            reason = await ready()
        except Exception as error:  # whatever the check ran into, the answer is that it is not ready
            _log.exception("readiness could not be determined")
            reason = f"check failed: {type(error).__name__}"
        return PlainTextResponse("ok\n") if reason is None else PlainTextResponse(f"{reason}\n", 503)

    return [Route("/metrics", show_metrics), Route("/livez", show_live), Route("/readyz", show_ready)]


class ProbeServer:
    """Serves the routes over HTTP in the running event loop. `address` is `host:port`; port 0 takes a free one.

    `names` are what it is called by those who reach it on a loopback address.
    """

    def __init__(
        self, address: str, metrics: Metrics, live: Live, ready: Ready, *, names: Collection[str] = ()
    ) -> None:
        self._address = address
        self._app = Starlette(routes=probe_routes(metrics, live, ready))
        self._names = names
        self._local = False
        self._server = HttpServer(self._answer, keep_alive=_KEEP_ALIVE_SECONDS)

    @property
    def address(self) -> str:
        """Where it listens, once started."""
        return self._address

    async def start(self) -> None:
        """Listen; raises OSError if the address cannot be had."""
        listeners, self._address = listen(self._address, backlog=128)
        self._local = all(origins.is_loopback(listener.getsockname()[0]) for listener in listeners)
        await self._server.start(listeners)

    async def stop(self) -> None:
        """Answer what is being asked, then close."""
        await self._server.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        known = not self._local or origins.known_host(host, self._names)
        told = f"this server is not called {(host or '')[:100]!r}; see the setting http_hosts\n"
        await (self._app if known else PlainTextResponse(told, 421))(scope, receive, send)
