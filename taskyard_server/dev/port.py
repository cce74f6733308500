"""Loopback ports: which are free."""

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the range from which kernels take the ports of outgoing connections, so that no such
# connection sits on a port while the process that listens on it is being restarted.
FREE_RANGE = range(15000, 32000)

_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a process could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def reserve(port: int) -> None:
    """Keeps `port` from being given by `free_port`."""
    _given.add(port)


def free_port() -> int:
    """A free loopback port that this process has not been given before.

    Raises OSError when none is found.
    """
    for _ in range(1000):
        port = random.choice(FREE_RANGE)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port on {LOOPBACK} in {FREE_RANGE.start}-{FREE_RANGE.stop - 1}")
