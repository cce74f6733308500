"""A worker's /livez, /readyz and /metrics, served from a thread so that a blocked event loop still answers."""

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

LAG_PATIENCE = 1.0
"""Seconds to wait for the event loop; a longer lag is shown as this."""
CONNECTIONS = 32
"""Served at once."""
HEAD_BYTES = 16 * 1024
SECONDS = 5.0
"""For a request to arrive, and for its answer to be taken."""

_HEADERS = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\n"


@dataclass(frozen=True, slots=True)
class Status:
    """What a worker says of itself."""

    connected: bool
    draining: bool
    slots: int
    running: int
    unacknowledged: int
    connects: int
    stale: int
    outcomes: Mapping[str, int]


class _Request(socketserver.BaseRequestHandler):
    """One request on a connection of its own: who is slow, sends much or breaks off is left without an answer."""

    server: "_Server"

    def handle(self) -> None:
        connection: socket.socket = self.request
        # A connection that is closed from elsewhere ends in one of these, too.
        with suppress(OSError, UnicodeDecodeError, ValueError):
            method, path = _read_request(connection)
            if method not in ("GET", "HEAD"):
                return
            code, body = self.server.answer(path)
            head = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n{_HEADERS}Content-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + (body if method == "GET" else b""))


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection, and a few connections at once: the oldest makes room for the newest."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Callable[[str], tuple[int, bytes]]) -> None:
        self.answer = answer
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) >= CONNECTIONS:
                _hang_up(next(iter(self._open)))
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whatever a client does, nobody wants to read of it."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _read_request(connection: socket.socket) -> tuple[str, str]:
    """Method and path; raises OSError or ValueError for what is none in time."""
    deadline = time.monotonic() + SECONDS
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(4096)
        head += part
        if not part or len(head) > HEAD_BYTES or time.monotonic() >= deadline:
            raise ValueError("no request")
    connection.settimeout(SECONDS)
    method, target, _ = head.split(b"\n", 1)[0].decode("ascii").split(maxsplit=2)
    return method, target.partition("?")[0]


class StatusPage:
    """Serves on `address` ("host:port", port 0 for any) from `start` to `close`.

    Live: this thread answers; a worker that lost its dispatcher is not helped by a restart. Ready: a dispatcher holds
    its session and it takes assignments.
    """

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop, status: Callable[[], Status]) -> None:
        host, separator, port = address.rpartition(":")
        if not separator or not port.isdecimal():
            raise ValueError(f"http address: must be host:port, got {address!r}")
        self._loop = loop
        self._status = status
        self._server = _Server((host.strip("[]"), int(port)), self._answer)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="taskyard-status", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path == "/livez":
            return 200, b"ok\n"
        if path == "/readyz":
            status = self._status()
            ready = status.connected and not status.draining
            return (200, b"ok\n") if ready else (503, b"no session that takes assignments\n")
        if path == "/metrics":
            return 200, "\n".join([*_metrics(self._status(), self._lag()), ""]).encode()
        return 404, b"not found\n"

    def _lag(self) -> float:
        reached = threading.Event()
        began = time.perf_counter()
        self._loop.call_soon_threadsafe(reached.set)
        reached.wait(LAG_PATIENCE)
        return time.perf_counter() - began


def _metrics(status: Status, lag: float) -> Iterator[str]:
    yield "# TYPE taskyard_worker_attempts_total counter"
    for outcome, number in sorted(status.outcomes.items()):
        yield f'taskyard_worker_attempts_total{{outcome="{outcome}"}} {number}'
    yield from _metric("counter", "connects_total", status.connects)
    yield from _metric("counter", "results_stale_total", status.stale)
    yield from _metric("gauge", "connected", int(status.connected))
    yield from _metric("gauge", "slots", status.slots)
    yield from _metric("gauge", "attempts_running", status.running)
    yield from _metric("gauge", "results_unacknowledged", status.unacknowledged)
    yield from _metric("gauge", "event_loop_lag_seconds", lag)


def _metric(kind: str, name: str, value: float) -> Iterator[str]:
    yield f"# TYPE taskyard_worker_{name} {kind}"
    yield f"taskyard_worker_{name} {value}"
