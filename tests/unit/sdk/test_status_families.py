"""The worker's status page listens where it is told to, in both families where that is meant."""

import asyncio
import http.client

import pytest

from taskyard.worker.status_page import Status, StatusPage
from tests.unit.test_listening import needs_ipv6


@needs_ipv6
@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        *((every, ("127.0.0.1", "::1")) for every in ("0.0.0.0:0", "[::]:0", ":0")),
        *(("127.0.0.1:0", ("127.0.0.1",)), ("[::1]:0", ("::1",))),
    ],
)
async def test_every_address_means_both_families(address: str, hosts: tuple[str, ...]) -> None:
    page = StatusPage(address, asyncio.get_running_loop(), lambda: Status(True, True, 0, 0, 0, 0, 0, {}))
    page.start()
    try:
        seen = [host for host in ("127.0.0.1", "::1") if await asyncio.to_thread(_answers, host, page.port)]
        assert tuple(seen) == hosts
    finally:
        await asyncio.to_thread(page.close)


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()
