"""The images' health check, without a shell or curl: whether this container's process answers on /livez.

A container runs one role; whichever of the roles' addresses answers is its own.
"""

import http.client
import os
import sys

ADDRESSES = {
    "TASKYARD_REST_ADDRESS": "0.0.0.0:8080",
    "TASKYARD_HTTP_ADDRESS": "0.0.0.0:8081",
    "TASKYARD_WORKER_HTTP_ADDRESS": "0.0.0.0:8082",
}
EVERY = ("", "*", "0.0.0.0", "::")
"""Hosts that mean every address of this machine."""


def live(address: str) -> bool:
    """Whether the process that listens on this address says it is live."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    connection = http.client.HTTPConnection("localhost" if host in EVERY else host, int(port), timeout=3)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    addresses = [os.environ.get(variable) or default for variable, default in ADDRESSES.items()]
    sys.exit(0 if any(map(live, addresses)) else 1)
