"""HTTP listens where it is told to, in both families where that is meant."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from taskyard_core.runtime.address import Address
from taskyard_core.runtime.listening import listen


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@contextmanager
def listening(text: str) -> Iterator[Address]:
    sockets, address = listen(text)
    try:
        yield Address.parse(address)
    finally:
        for one in sockets:
            one.close()


def reachable(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), timeout=5)):
            return True
    except OSError:
        return False


@needs_ipv6
@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0", ":0", "*:0", "localhost:0"])
def test_every_address_means_both_families(text: str) -> None:
    with listening(text) as address:
        assert reachable("127.0.0.1", address.port)
        assert text == "localhost:0" or reachable("::1", address.port)


@needs_ipv6
@pytest.mark.parametrize(("text", "other"), [("127.0.0.1:0", "::1"), ("[::1]:0", "127.0.0.1")])
def test_one_address_means_no_other(text: str, other: str) -> None:
    with listening(text) as address:
        assert reachable(address.host, address.port)
        assert not reachable(other, address.port)
        assert str(address) == text.replace(":0", f":{address.port}")


def test_a_machine_without_ipv6_is_listened_to_in_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listening("[::]:0") as address:
        assert reachable("127.0.0.1", address.port)


def test_an_address_that_is_taken_is_an_error() -> None:
    with listening("0.0.0.0:0") as address, pytest.raises(OSError, match="in use"):
        listen(f"[::]:{address.port}")


@pytest.mark.parametrize("text", ["8080", "", "host", "host:http", "::1:80", "[::1]", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="no host:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "host", "everywhere"),
    [
        *(("[::1]:7070", "::1", False), ("[::]:7070", "::", True), (":7070", "0.0.0.0", True)),
        *(("*:7070", "0.0.0.0", True), ("taskyard:7070", "taskyard", False)),
        ("[fe80::1%eth0]:7070", "fe80::1%eth0", False),
    ],
)
def test_addresses_are_read(text: str, host: str, everywhere: bool) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.everywhere) == (host, 7070, everywhere)
    assert Address.parse(str(address)) == address
