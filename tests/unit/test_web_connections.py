"""What a connection to an HTTP port may take."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from taskyard_core.domain import limits
from taskyard_core.web import origins
from taskyard_core.web.server import HttpServer

ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Port:
    """A served port."""

    def __init__(self, server: HttpServer, number: int) -> None:
        self.server = server
        self.number = number

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.number)

    async def told(self, data: bytes) -> bytes:
        """All that the server says to the bytes until it closes the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest_asyncio.fixture
async def port() -> AsyncIterator[Port]:
    async def hello(request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            return Response(status_code=400)

    server = HttpServer(Starlette(routes=[Route("/", hello, methods=["GET", "POST"])]), keep_alive=60)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    await server.start([listener])
    yield Port(server, listener.getsockname()[1])
    await server.stop(0)
    listener.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\na: " + b"a" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"GET /" + b"a" * 300_000,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"a" * 300_000,
        b"no http\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"a: b\r\n" * 101,
        ASK * 1000,
    ],
    ids=[
        "endless header",
        "endless headers",
        "101 headers",
        "endless URL",
        "long URL",
        "endless method",
        "words",
        "TLS",
        "HTTP/2",
        "length",
        "chunk",
        "trailers",
        "pipeline",
    ],
)
async def test_what_breaks_a_rule_is_closed_without_a_word(
    port: Port, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await port.told(head) == b""
    assert not caplog.records
    assert len(port.server.connections) == 0


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: localhost\r\n", ASK + b"GE"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    port: Port, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.05)
    told = await port.told(begun)
    assert told.count(b"200 OK") == begun.count(ASK)


async def test_a_body_that_does_not_come_is_not_waited_for(
    port: Port, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("taskyard_core.web.connections._BODY_SECONDS", 0.05)
    assert await port.told(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc") == b""
    assert len(port.server.connections) == 0


async def test_the_oldest_that_asked_for_nothing_makes_room(port: Port) -> None:
    port.server.connections._most = 10
    reader, writer = await port.connect()
    writer.write(ASK)
    await reader.readuntil(b"\r\n\r\n0")
    silent = [await port.connect() for _ in range(30)]
    assert b"200 OK" in await port.told(ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert len(port.server.connections) <= 10
    for others, _ in silent[:20]:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await others.readexactly(1)
    for _, other in (*silent, (reader, writer)):
        other.close()


async def test_requests_and_bodies_of_ordinary_size_pass(port: Port) -> None:
    cookie = b"cookie: " + b"c" * 8000 + b"\r\n"
    head = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n" + cookie
    assert (await port.told(head + b"content-length: 300000\r\n\r\n" + b"x" * 300_000)).endswith(b"\r\n300000")
    chunks = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(300)) + b"0\r\n\r\n"
    assert (await port.told(head + b"transfer-encoding: chunked\r\n\r\n" + chunks)).endswith(b"\r\n307200")
    upgrade = ASK.replace(b"\r\n\r\n", b"\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n")
    assert b"200 OK" in await port.told(upgrade)


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("POST", {}, False),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "https://public.example", "host": "inner"}, False),
        ("POST", {"sec-fetch-site": "none"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, True),
        ("POST", {"sec-fetch-site": "same-site"}, True),
        ("DELETE", {"sec-fetch-site": "cross-site"}, True),
        ("PATCH", {"origin": "http://evil.example", "host": "localhost:8080"}, True),
        ("POST", {"origin": "null", "host": "localhost:8080"}, True),
        ("POST", {"origin": "http://localhost:3000", "host": "localhost:8080"}, True),
        ("POST", {"origin": "http://LocalHost:8080", "host": "localhost:8080"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_pages_of_others_change_nothing(method: str, headers: dict[str, str], refused: bool) -> None:
    assert origins.cross_site(method, headers) is refused


@pytest.mark.parametrize(
    ("host", "known"),
    [
        (None, True),
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("box", True),
        ("localhost.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("evil.example:127.0.0.1", False),
        ("", False),
        ("[::1", True),
        ("[::2]", False),
    ],
)
def test_a_server_for_this_machine_alone_knows_its_names(host: str | None, known: bool) -> None:
    assert origins.known_host(host, ["Box"]) is known
    assert origins.known_host(host, ["*"])


def test_loopback_addresses() -> None:
    assert all(map(origins.is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost", "::1%lo")))
    assert not any(map(origins.is_loopback, ("0.0.0.0", "::", "10.0.0.1", "box")))
