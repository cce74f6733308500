"""The way to the schedulers: addresses, TLS, and one channel to each address."""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from taskyard._gen import cluster_service_pb2_grpc, queue_service_pb2_grpc, task_service_pb2_grpc
from taskyard._home import Home, connected, disconnected
from taskyard.errors import FieldViolation, InvalidArgument, TaskyardError

DEFAULT_ADDRESS = "localhost:7070"
DEFAULT_PORT = 7070

_SERVICE_CONFIG = {
    # One name may stand for many schedulers.
    "loadBalancingConfig": [{"round_robin": {}}],
    # One that is about to stop says so here, before it breaks off what it is still sent.
    "healthCheckConfig": {"serviceName": "liveness"},
}
_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Without pings a peer that vanished silently would leave a waiting call hanging for hours.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Also the time limit of one attempt to connect, 20 s by default: too long to learn that an address is dead.
    ("grpc.min_reconnect_backoff_ms", 3_000),
    # An upgrade replaces all that a name stands for within seconds; gRPC would look again after 30 s at the earliest.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
]


@dataclass(frozen=True, slots=True)
class Tls:
    """How to talk TLS to the schedulers.

    Attributes:
        ca: PEM file of the authorities to trust; None means the system's.
        certificate, key: PEM files to authenticate this client with, both or neither.
        server_name: the name to expect in the server's certificate, if it isn't the address's.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    @classmethod
    def chosen(cls, given: Self | None) -> Self | None:
        """What the code gave, or else what the environment says; raises InvalidArgument for what is no Tls."""
        if given is not None and not isinstance(given, cls):
            told = f"must be a Tls or None, got {type(given).__name__}"
            raise InvalidArgument(violations=[FieldViolation("tls", told)])
        return given or cls.from_environment()

    @classmethod
    def from_environment(cls) -> Self | None:
        """What TASKYARD_TLS (1), _TLS_CA, _TLS_CERT, _TLS_KEY and _TLS_SERVER_NAME say; None if nothing."""
        ca, certificate, key = (_path(f"TASKYARD_TLS_{name}") for name in ("CA", "CERT", "KEY"))
        server_name = os.environ.get("TASKYARD_TLS_SERVER_NAME", "")
        wanted = os.environ.get("TASKYARD_TLS", "").lower() in {"1", "true", "yes", "on"}
        return cls(ca, certificate, key, server_name) if wanted or ca or certificate or server_name else None

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC needs; raises OSError for a file that can't be read."""
        read = [path.read_bytes() if path else None for path in (self.ca, self.key, self.certificate)]
        return grpc.ssl_channel_credentials(*read)


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


class Scheduler:
    """A channel to one address, with the services it offers."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        self.address = address
        options = [*_OPTIONS]
        if tls and tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        if tls is None:
            self.channel = grpc.aio.insecure_channel(address, options=options)
        else:
            self.channel = grpc.aio.secure_channel(address, tls.credentials(), options=options)
        self.tasks = task_service_pb2_grpc.TaskServiceStub(self.channel)
        self.queues = queue_service_pb2_grpc.QueueServiceStub(self.channel)
        self.cluster = cluster_service_pb2_grpc.ClusterServiceStub(self.channel)


class Schedulers:
    """The schedulers to choose from. All are equal; one is used until it is found to be away."""

    def __init__(self, addresses: Sequence[str], tls: Tls | None) -> None:
        self._addresses = addresses
        self._tls = tls
        # Clients with the same list begin at different places, which spreads them.
        self._place = random.randrange(len(addresses))
        self._open: dict[str, Scheduler] = {}
        self._closed = False
        self.home = Home()

    def current(self) -> Scheduler:
        """The one to use now; its channel is opened at the first use. Raises TaskyardError after `close`."""
        if self._closed:
            raise TaskyardError("the client is closed", reason="CLIENT_CLOSED")
        address = self._addresses[self._place]
        if address not in self._open:
            self.home.enter()
            connected(self)
            self._open[address] = Scheduler(address, self._tls)
        return self._open[address]

    def avoid(self, scheduler: Scheduler) -> None:
        """Go on to the next one, unless somebody else already did."""
        if scheduler is self.current():
            self._place = (self._place + 1) % len(self._addresses)

    async def close(self) -> None:
        """End all calls and close all channels."""
        self._closed = True
        if not self.home.elsewhere:  # else all that is open is the other process's
            await self.disconnect()

    async def disconnect(self) -> None:
        """Close all channels; the next call opens new ones, wherever it comes from."""
        for scheduler in self._open.values():
            await scheduler.channel.close(None)
        self._open.clear()
        disconnected(self)
        self.home.leave()
