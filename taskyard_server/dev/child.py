"""A development cluster in a process of its own, for a program that needs one for a while."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

from taskyard_server import apart
from taskyard_server.dev.plan import SERVER
from taskyard_server.dev.process import LOOK_EVERY_SECONDS, Process, ProcessSpec, exit_text
from taskyard_server.dev.roster import NAME as ROSTER
from taskyard_server.dev.state import make_private

ANY_PORTS = ("--rest-port", "0", "--grpc-port", "0", "--session-port", "0")
# Longer than `dev` itself waits: it has the better words for what is missing.
READY_SECONDS = 420.0
STOP_SECONDS = 60.0


class ClusterProcess(NamedTuple):
    """One process of the cluster, as cluster.json tells it."""

    name: str
    role: str
    pid: int
    addresses: dict[str, str]


class ChildCluster:
    """`taskyard-server dev` on free ports, from entry to exit of an `async with`.

    `flags` are more of its flags. Enter it in the main thread: the cluster also stops when that ends,
    and so leaves nothing behind when this process is killed (Linux).
    """

    def __init__(self, directory: Path, *flags: str) -> None:
        self.directory = directory.resolve()
        self._process = Process(
            ProcessSpec(
                name="taskyard-server dev",
                role="dev",
                argv=(*SERVER, "dev", "--dir", str(self.directory), *ANY_PORTS, *flags),
                environment={**apart.environment(dict(os.environ)), "PYTHONUNBUFFERED": "1"},
                log=self.directory / "logs" / "dev.log",
                death_signal=signal.SIGTERM,
            )
        )
        self.rest = ""
        """URL of the REST API."""
        self.grpc = ""
        """host:port of the gRPC API."""

    async def __aenter__(self) -> Self:
        """Starts it. Raises ProcessError when it does not become ready, OSError when it can't be started."""
        # The log below is in it before the supervisor could do this.
        make_private(self.directory)
        self._process.start()
        try:
            await self._wait_ready()
        except BaseException:
            await self._process.stop(grace=STOP_SECONDS)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop(grace=STOP_SECONDS)

    @property
    def pid(self) -> int | None:
        """The supervisor's process id."""
        return self._process.pid

    def processes(self) -> tuple[ClusterProcess, ...]:
        """What runs now."""
        entries = self._document()["processes"]
        return tuple(ClusterProcess(**entry) for entry in entries)

    async def _wait_ready(self) -> None:
        roster = self.directory / ROSTER
        # One from before a crash would be taken for this cluster's.
        roster.unlink(missing_ok=True)
        deadline = time.monotonic() + READY_SECONDS
        while not roster.exists():
            if not self._process.running:
                raise self._process.failure(f"ended {exit_text(self._process.exit_code)}")
            if time.monotonic() > deadline:
                raise self._process.failure(f"was not ready within {READY_SECONDS:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        document = self._document()
        self.rest, self.grpc = document["rest"], document["grpc"]

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.directory / ROSTER).read_text())
        return document
