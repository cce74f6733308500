"""A worker's /livez, /readyz and /metrics, served from a thread so that a blocked event loop still answers."""

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAG_PATIENCE = 1.0
"""Seconds to wait for the event loop; a longer lag is shown as this."""


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
        page = self

        class Request(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = page._answer(self.path)
                self.send_response(code)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds; nobody wants to read of them."""

        self._server = _server(host.strip("[]"), int(port), Request)
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


def _server(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server that listens; `0.0.0.0`, `[::]` and no host at all mean every address, in IPv4 and IPv6 alike."""
    if host in ("", "0.0.0.0", "::") and socket.has_dualstack_ipv6():
        try:
            return _DualServer(("::", port), handler)
        except OSError as error:
            # A kernel that knows IPv6 and has no address in it.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            host = "0.0.0.0"
    return (_Server6 if ":" in host else ThreadingHTTPServer)((host, port), handler)


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class _DualServer(_Server6):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
