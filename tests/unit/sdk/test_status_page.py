"""What a worker's status page takes from whoever connects."""

import asyncio
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from taskyard.worker import status_page
from taskyard.worker.status_page import Status, StatusPage


@pytest.fixture
def page() -> Iterator[StatusPage]:
    loop = asyncio.new_event_loop()
    status = Status(True, False, 1, 0, 0, 1, 0, {})
    served = StatusPage("127.0.0.1:0", loop, lambda: status)
    served.start()
    yield served
    served.close()
    loop.close()


def connect(page: StatusPage) -> socket.socket:
    return socket.create_connection(("127.0.0.1", page.port), timeout=60)


def told(page: StatusPage, data: bytes) -> bytes:
    """All that the page says to the bytes until it closes the connection."""
    with connect(page) as connection:
        answer = b""
        try:
            connection.sendall(data)
            while part := connection.recv(4096):
                answer += part
        except ConnectionError:
            return answer
    return answer


def test_it_answers_probes(page: StatusPage) -> None:
    assert told(page, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"\r\n\r\nok\n")
    assert told(page, b"GET /livez?verbose HTTP/1.0\n\n").startswith(b"HTTP/1.1 200 OK\r\n")
    assert told(page, b"HEAD /readyz HTTP/1.1\r\n\r\n").endswith(b"Content-Length: 3\r\n\r\n")
    assert told(page, b"GET /x HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 Not Found\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000,
        b"POST /livez HTTP/1.1\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"nothing\r\n\r\n",
    ],
)
def test_what_is_no_probe_is_closed_without_a_word(
    page: StatusPage, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert told(page, data) == b""
    assert capfd.readouterr() == ("", "")


def test_who_says_nothing_is_not_waited_for(page: StatusPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_page, "SECONDS", 0.05)
    assert told(page, b"") == b""
    assert told(page, b"GET /livez HTT") == b""


def test_the_oldest_connection_makes_room_for_the_newest(page: StatusPage) -> None:
    silent = [connect(page) for _ in range(3 * status_page.CONNECTIONS)]
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/livez", timeout=60) as reply:
        assert reply.read() == b"ok\n"
    assert silent[0].recv(1) == b""
    for connection in silent:
        connection.close()
