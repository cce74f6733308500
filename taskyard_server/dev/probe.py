"""Questions to running processes over HTTP: are you ready, which workers are connected."""

import http.client
import json
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 3.0


def is_ready(base_url: str) -> bool:
    """Whether the process at `base_url` answers 200 to /readyz; False when it cannot be reached."""
    return get(base_url, "/readyz") is not None


def connected_workers(rest_url: str) -> set[tuple[str, int]]:
    """Name and process id of every worker that the API lists; none when it cannot be reached.

    The id is 0 for a worker that did not tell.
    """
    body = get(rest_url, "/v1/workers")
    if body is None:
        return set()
    # 64-bit numbers may be written as strings in JSON.
    return {(str(worker["name"]), int(worker.get("pid") or 0)) for worker in json.loads(body)["workers"]}


def get(base_url: str, path: str) -> bytes | None:
    """The body of a 200 answer, None for any other and for none."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
