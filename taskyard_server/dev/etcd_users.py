"""Turns etcd's authentication on: everybody needs a password from then on."""

import base64
import contextlib
import http.client
import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 5.0
ROOT = "root"
"""Etcd's own name for the user who may do everything."""
# What says that an earlier try, which was interrupted, has come this far.
_DONE_BEFORE = ("already exists", "user name is empty")
_EVERY_KEY = base64.b64encode(b"\0").decode()


class EtcdRefusedError(RuntimeError):
    """Etcd did not do what it was asked."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def short_path(directory: Path) -> Iterator[Path]:
    """A name for a directory that is short enough for the address of a socket in it."""
    with tempfile.TemporaryDirectory(prefix="taskyard-") as own:
        link = Path(own) / "d"
        link.symlink_to(directory, target_is_directory=True)
        yield link


def answers(path: Path) -> bool:
    """Whether the member behind a socket has a leader."""
    try:
        return _ask(path, "GET", "/health")[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def require_passwords(path: Path, *, root: str, user: str, password: str) -> None:
    """Makes `user`, who may read and write all keys, and the root user, then turns authentication on.

    Raises EtcdRefusedError, OSError.
    """
    permission = {"permType": "READWRITE", "key": _EVERY_KEY, "range_end": _EVERY_KEY}
    for call, fields in (
        ("user/add", {"name": ROOT, "password": root}),
        ("role/add", {"name": ROOT}),
        ("user/grant", {"user": ROOT, "role": ROOT}),
        ("user/add", {"name": user, "password": password}),
        ("role/add", {"name": user}),
        ("role/grant", {"name": user, "perm": permission}),
        ("user/grant", {"user": user, "role": user}),
        ("enable", {}),
    ):
        status, answer = _ask(path, "POST", f"/v3/auth/{call}", fields)
        said = str(answer.get("message", ""))
        if status != http.HTTPStatus.OK and not any(words in said for words in _DONE_BEFORE):
            raise EtcdRefusedError(f"etcd: {call}: {said}")


def _ask(path: Path, verb: str, url: str, body: object = None) -> tuple[int, dict[str, Any]]:
    connection = _Connection(path)
    try:
        connection.request(verb, url, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()
