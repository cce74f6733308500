"""Connections that take no more than their share of memory and time. What breaks a rule is closed without a word."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from taskyard_core.domain import limits

_HEADERS = 100
_BODY_SECONDS = 2 * limits.BODY_SECONDS
"""Until the connection is closed; those who read bodies give up earlier, and say so."""
_REQUEST_BYTES = 16 * 1024 * 1024
"""What a client may go on sending after it was refused for sending too much."""
_PIPELINED = 32


class _TooMuch(Exception):
    """A request whose head is larger than it may be."""


class Connections:
    """The open connections of one port, the one that has been idle for the longest first."""

    def __init__(self, most: int = limits.CONNECTIONS) -> None:
        self._most = most
        self._idle: dict[Connection, None] = {}
        self._busy: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def opened(self, connection: Connection) -> None:
        """One more; if there are too many, one that has asked for nothing makes room."""
        self._idle[connection] = None
        if len(self) > self._most:
            next(iter(self._idle)).drop()

    def busy(self, connection: Connection) -> None:
        """It waits for an answer."""
        self._idle.pop(connection, None)
        self._busy.add(connection)

    def idle(self, connection: Connection) -> None:
        """It has its answer."""
        if connection in self._busy:
            self._busy.remove(connection)
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._idle.pop(connection, None)
        self._busy.discard(connection)


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits on heads, time and number, and silent about what clients do wrong."""

    gate: Connections
    """Set by `limited`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._request_bytes = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._within(limits.HEAD_SECONDS)
        self.gate.opened(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        self.gate.closed(self)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._in_head and self._deadline is None:
            # The first byte of another request.
            self._within(limits.HEAD_SECONDS)
        self._request_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nobody here speaks anything else; the request is answered as it is.
            pass
        except httptools.HttpParserError:
            self.drop()
            return
        # Parsers tell of a header once it is complete: one without end is seen by its bytes only.
        most = limits.HEAD_BYTES if self._in_head else _REQUEST_BYTES
        if self._request_bytes > most:
            self.drop()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        # For an application that gives its client up in the middle of an answer.
        self.scope["extensions"] = {"taskyard.drop": self.drop}  # type: ignore[dict-item]

    @override
    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if len(self.headers) >= _HEADERS:
            raise _TooMuch
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._within(_BODY_SECONDS)
        self.gate.busy(self)
        super().on_headers_complete()
        if len(self.pipeline) > _PIPELINED:
            raise _TooMuch

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._within(None)
        self._in_head = True
        self._request_bytes = 0

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self.gate.idle(self)

    @override
    def timeout_keep_alive_handler(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Close at once, whatever the client has not read."""
        self._within(None)
        self.gate.closed(self)
        if self.transport is not None:
            self.transport.abort()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > limits.HEAD_BYTES:
            raise _TooMuch

    def _within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.drop)


def limited(connections: Connections) -> type[Connection]:
    """The protocol of one port."""
    return type("PortConnection", (Connection,), {"gate": connections})
