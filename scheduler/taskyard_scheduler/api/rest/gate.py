"""What every request passes on its way to the application, and every answer on its way back."""

import asyncio
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskyard_core.domain.violations import Violation
from taskyard_core.web import origins
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.failures import Failure, Reason
from taskyard_scheduler.api.rest import problems
from taskyard_scheduler.api.traffic import Direction

_PARAMETERS = 2000
_CHUNK_BYTES = 64 * 1024


class Gate:
    """Sends requests away that a browser was tricked into, sends answers as fast as they are read, and ends what
    nobody foresaw with one answer, not with two."""

    def __init__(self, app: ASGIApp, leaving: Direction, names: Collection[str]) -> None:
        self._app = app
        self._leaving = leaving
        self._names = names
        self.local = False
        """Whether this server is for its machine alone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        answer = _Answer(scope, send, self._leaving)
        try:
            if failure := self._refusal(scope):
                await problems.response(failure)(scope, receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            # Only by the end of the grace of a stopping server, which would call it a failure of ours.
            if not answer.began:
                await problems.response(failures.shutting_down())(scope, receive, send)
        except Exception as error:
            # The application logs what it did not foresee, answers, and raises it once more.
            if not answer.began:
                await problems.response(failures.from_error(error))(scope, receive, send)

    def _refusal(self, scope: Scope) -> Failure | None:
        headers = Headers(scope=scope)
        host = headers.get("host")
        if self.local and not origins.known_host(host, self._names):
            name = (host or "")[:100]
            return Failure(Reason.UNKNOWN_HOST, f"this server is not called {name!r}; see the setting rest_hosts")
        if origins.cross_site(scope["method"], headers):
            return Failure(Reason.CROSS_SITE, "a page of another site must not change anything here")
        if scope["query_string"].count(b"&") >= _PARAMETERS:
            return failures.invalid(Violation("query", f"more than {_PARAMETERS} parameters"))
        return None


class _Answer:
    """One answer on its way."""

    def __init__(self, scope: Scope, send: Send, leaving: Direction) -> None:
        self._send = send
        self._leaving = leaving
        self._drop: Callable[[], None] = scope.get("extensions", {}).get("taskyard.drop", lambda: None)
        client = scope.get("client")
        self._who = f"{client[0]}:{client[1]}" if client else ""
        self.began = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        self.began = True
        body = message.get("body", b"")
        if len(body) <= _CHUNK_BYTES:
            await self._send(message)
            return
        try:
            async with self._leaving.room(self._who, len(body)), self._leaving.moving("the answer was not read"):
                await self._send_in_parts(message, body)
        except Failure:
            self._drop()

    async def _send_in_parts(self, message: Message, body: bytes) -> None:
        # The server waits for the client before each part; a whole answer it would keep.
        last = len(body) - _CHUNK_BYTES
        for start in range(0, len(body), _CHUNK_BYTES):
            more = start < last or bool(message.get("more_body"))
            await self._send({**message, "body": body[start : start + _CHUNK_BYTES], "more_body": more})
