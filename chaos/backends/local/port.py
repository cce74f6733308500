"""Free loopback ports."""

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the range that kernels give to outgoing connections: none of those may sit on a port whose owner is away.
_RANGE = range(15000, 32000)

_given: set[int] = set()


def free_address() -> str:
    """127.0.0.1:port for a port that is free and that this process was not given before."""
    for port in random.sample(_RANGE, 1000):
        if port not in _given and _is_free(port):
            _given.add(port)
            return f"{LOOPBACK}:{port}"
    raise OSError(f"no free port on {LOOPBACK} in {_RANGE.start}-{_RANGE.stop - 1}")


def port_of(address: str) -> int:
    """The port of host:port."""
    return int(address.rpartition(":")[2])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
