"""An etcd cluster over gRPC: the only place, with kv.py, that knows its messages."""

from __future__ import annotations

from typing import Any

from etcd3aio._protobuf import (
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    StatusRequest,
    WatchCreateRequest,
    WatchRequest,
)
from etcd3aio.kv import prefix_range_end

from taskyard_core.storage.etcd.access import Event, Granted, Size
from taskyard_core.storage.etcd.connection import EtcdConnection
from taskyard_core.storage.etcd.errors import EtcdCompacted, EtcdRejected, EtcdWentBack, check_version
from taskyard_core.storage.etcd.kv import KeyValues, key_value
from taskyard_core.storage.etcd.settings import EtcdSettings
from taskyard_core.storage.etcd.stream import Stream

_DELETE_EVENT = 1
_DEFAULT_QUOTA = 2 * 1024**3


class GrpcAccess:
    """See Access."""

    def __init__(self, settings: EtcdSettings) -> None:
        self.connection = EtcdConnection(settings)
        self.kv = KeyValues(self.connection)
        self.patience = settings.request_timeout

    async def check_version(self) -> None:
        """Raise EtcdRejected if the member that is asked is older than will do; one that does not tell may do."""
        try:
            status = await self.connection.call(
                lambda member: member.maintenance.Status, StatusRequest(), repeatable=True
            )
        except EtcdRejected:
            # Some releases tell their version to root only.
            return
        check_version(status.version)

    async def grant(self, ttl: int) -> Granted:
        """Make a lease of `ttl` seconds. If a first answer was lost, its lease expires unused."""
        request = LeaseGrantRequest(TTL=ttl)
        response = await self.connection.call(lambda member: member.lease.LeaseGrant, request, repeatable=True)
        return Granted(int(response.ID), float(response.TTL))

    async def revoke(self, lease_id: int, *, timeout: float | None = None) -> None:
        """Delete a lease with its keys."""
        request = LeaseRevokeRequest(ID=lease_id)
        await self.connection.call(lambda member: member.lease.LeaseRevoke, request, repeatable=True, timeout=timeout)

    async def keep_alive(self) -> GrpcKeepAlive:
        """Open a stream of renewals."""
        return GrpcKeepAlive(await self.connection.stream(lambda member: member.lease.LeaseKeepAlive))

    async def watch(self, prefix: str, *, start: int) -> GrpcChangeStream:
        """Open a stream of the changes under `prefix`."""
        stream = await self.connection.stream(lambda member: member.watch.Watch)
        create = WatchCreateRequest(key=prefix.encode(), range_end=prefix_range_end(prefix), start_revision=start)
        try:
            await stream.write(WatchRequest(create_request=create), timeout=self.patience)
        except BaseException:
            await stream.close()
            raise
        return GrpcChangeStream(stream, self.connection, start)

    async def size(self) -> Size:
        """How large the member's database is."""
        response = await self.connection.call(
            lambda member: member.maintenance.Status, StatusRequest(), repeatable=True
        )
        # Members before 3.6 do not tell their quota.
        return Size(int(response.dbSize), int(response.dbSizeQuota) or _DEFAULT_QUOTA)

    def suspect(self, place: str) -> None:
        """Go to another member if calls still go to the one at `place`."""
        self.connection.suspect(place)

    async def close(self) -> None:
        """End every connection."""
        await self.connection.close()


class GrpcKeepAlive:
    """See KeepAlive."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.place = stream.place

    async def ask(self, lease_id: int, *, timeout: float) -> None:
        """Ask for a renewal."""
        await self._stream.write(LeaseKeepAliveRequest(ID=lease_id), timeout=timeout)

    async def read(self) -> Granted:
        """Return the next answer."""
        response: Any = await self._stream.read()
        return Granted(int(response.ID), float(response.TTL))

    async def close(self) -> None:
        """Leave nothing running."""
        await self._stream.close()


class GrpcChangeStream:
    """See ChangeStream."""

    def __init__(self, stream: Stream, connection: EtcdConnection, start: int) -> None:
        self._stream = stream
        self._connection = connection
        self._start = start
        self.place = stream.place

    async def read(self, *, timeout: float) -> tuple[Event, ...] | None:
        """Return what comes next, or None after `timeout` seconds of silence."""
        response = await self._stream.read(timeout=timeout)
        if response is None:
            return None
        if response.canceled and response.compact_revision:
            raise EtcdCompacted(f"{self.place}: compacted up to {response.compact_revision}")
        if response.canceled:
            raise self._connection.ended(self.place, response.cancel_reason)
        if response.header.revision < self._start - 1:
            # etcd would wait for that revision without a word, and tell nothing until then.
            raise EtcdWentBack(f"{self.place}: at revision {response.header.revision}, before {self._start - 1}")
        return tuple(Event(key_value(event.kv), event.type == _DELETE_EVENT) for event in response.events)

    async def ask_progress(self) -> None:
        """Have the member give a sign of life."""
        request = WatchRequest()
        request.progress_request.SetInParent()
        await self._stream.write(request, timeout=self._connection.settings.request_timeout)

    async def close(self) -> None:
        """Leave nothing running."""
        await self._stream.close()
