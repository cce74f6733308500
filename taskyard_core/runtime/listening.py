"""Taking an address for HTTP, in the same families as gRPC's servers do."""

import errno
import socket
from contextlib import suppress

from taskyard_core.runtime.address import Address

_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""This machine has no addresses of that family."""


def listen(text: str, *, backlog: int = 1024) -> tuple[list[socket.socket], str]:
    """Sockets that listen on `host:port`, and the address with the port that a 0 became; raises OSError, ValueError.

    `0.0.0.0` and `[::]` both mean every address in IPv4 and IPv6; a name means all of its addresses.
    """
    address = Address.parse(text)
    sockets = [_everywhere(address.port, backlog)] if address.everywhere else _all_of(address, backlog)
    port = sockets[0].getsockname()[1]
    return sockets, str(Address(address.host, port))


def _everywhere(port: int, backlog: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=backlog)


def _all_of(address: Address, backlog: int) -> list[socket.socket]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    places = list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, host in places:
            port = sockets[0].getsockname()[1] if sockets else address.port
            try:
                sockets.append(socket.create_server((host, port), family=family, backlog=backlog))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
    except OSError:
        for taken in sockets:
            with suppress(OSError):
                taken.close()
        raise
    if not sockets:
        raise missing or OSError(errno.EADDRNOTAVAIL, f"{address} has no address")
    return sockets
