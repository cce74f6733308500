"""One etcd member as this process reaches it: a channel and the stubs on it."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from etcd3aio._protobuf import AuthStub, KVStub, LeaseStub, MaintenanceStub, WatchStub

from taskyard_core.storage.etcd.settings import EtcdSettings

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Member:
    """A gRPC channel to one endpoint. It connects when first used and reconnects by itself."""

    def __init__(self, endpoint: str, settings: EtcdSettings) -> None:
        scheme, _, rest = endpoint.rpartition("://")
        self.address = rest.rstrip("/")
        secure = scheme == "https" or settings.ca_file is not None
        self._channel = _channel(self.address, settings, secure=secure)
        self.kv: Any = KVStub(self._channel)
        self.lease: Any = LeaseStub(self._channel)
        self.watch: Any = WatchStub(self._channel)
        self.auth: Any = AuthStub(self._channel)
        self.maintenance: Any = MaintenanceStub(self._channel)

    async def close(self) -> None:
        """Close the channel; calls in flight end with an error."""
        await self._channel.close(None)


def _channel(address: str, settings: EtcdSettings, *, secure: bool) -> grpc.aio.Channel:
    options = _options(settings)
    if secure:
        return grpc.aio.secure_channel(address, _credentials(settings), options=options)
    return grpc.aio.insecure_channel(address, options=options)


def _credentials(settings: EtcdSettings) -> grpc.ChannelCredentials:
    ca, key, cert = (
        path.read_bytes() if path is not None else None
        for path in (settings.ca_file, settings.key_file, settings.cert_file)
    )
    return grpc.ssl_channel_credentials(ca, key, cert)


def _options(settings: EtcdSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.keepalive_time_ms", round(settings.ping_interval * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.ping_timeout * 1000)),
        # etcd treats a ping on a connection without calls as abuse and hangs up.
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.http2.max_pings_without_data", 0),
        # By default gRPC waits up to two minutes before it tries a member again.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", round(settings.request_timeout * 1000)),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        # etcd is a neighbour: a proxy meant for the internet is never on the way to it.
        ("grpc.enable_http_proxy", 0),
        # Otherwise connections of the same process share one socket and fail together.
        ("grpc.use_local_subchannel_pool", 1),
    ]
