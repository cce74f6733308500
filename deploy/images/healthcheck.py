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


def live(port: int) -> bool:
    """Whether the process on this port of this machine says it is live."""
    connection = http.client.HTTPConnection("localhost", port, timeout=3)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    ports = [(os.environ.get(variable) or default).rpartition(":")[2] for variable, default in ADDRESSES.items()]
    sys.exit(0 if any(live(int(port)) for port in ports) else 1)
