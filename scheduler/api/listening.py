"""Taking an address."""

import socket


def listen(address: str) -> tuple[socket.socket, str]:
    """A socket that listens on `host:port`, and the address with the port that a 0 became; raises OSError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family, backlog=1024)
    taken: int = listener.getsockname()[1]
    return listener, f"[{host}]:{taken}" if family == socket.AF_INET6 else f"{host}:{taken}"
