"""Keeping leases alive: many leases, one stream."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from etcd3aio._protobuf import LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest

from scheduler.storage.backoff import Backoff
from scheduler.storage.etcd.connection import EtcdConnection
from scheduler.storage.etcd.errors import EtcdError, EtcdUnavailable, LeaseNotFound
from scheduler.storage.etcd.lease import Lease
from scheduler.storage.etcd.stream import Stream

_log = logging.getLogger(__name__)

_TICK = 0.1


class LeaseRenewal:
    """Grants leases and renews them while it runs; `async with` runs it in the background.

    Leases that matter at different speeds should have a renewal each: answers on a stream come one
    after the other.
    """

    def __init__(self, connection: EtcdConnection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._leases: dict[int, Lease] = {}
        self._added = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run(), name="lease-renewal")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running, self._running = self._running, None
        if running is not None and not running.done():
            running.cancel()
        if running is not None:
            await asyncio.wait({running})
            if not running.cancelled():
                running.result()

    async def grant(self, ttl: int, *, on_lost: Callable[[Lease], None] | None = None) -> Lease:
        """Return a new lease of `ttl` whole seconds that is renewed from now on.

        `on_lost` is called with the lease, once, if it is lost; it isn't called after
        `revoke` or `abandon`. Raises EtcdError.
        """
        asked_at = self._clock()
        response = await self._connection.call(
            lambda member: member.lease.LeaseGrant,
            LeaseGrantRequest(TTL=ttl),
            # If the first answer was lost, its lease expires unused.
            repeatable=True,
        )
        # An attempt that failed before this one only makes the start too early: the safe side.
        lease = Lease(int(response.ID), float(response.TTL), granted_at=asked_at, on_lost=on_lost)
        self._leases[lease.id] = lease
        self._added.set()
        return lease

    def abandon(self, lease: Lease) -> None:
        """Stop renewing: the lease expires by itself within its TTL."""
        self._leases.pop(lease.id, None)

    async def revoke(self, lease: Lease, *, timeout: float | None = None) -> None:
        """Stop renewing and delete the lease with all its keys. A lease already gone is fine.

        `timeout` is in seconds for each attempt. Raises EtcdError, and the lease then expires by
        itself.
        """
        self.abandon(lease)
        try:
            await self._connection.call(
                lambda member: member.lease.LeaseRevoke,
                LeaseRevokeRequest(ID=lease.id),
                repeatable=True,
                timeout=timeout,
            )
        except LeaseNotFound:
            _log.debug("lease %x was gone before it was revoked", lease.id)

    async def run(self) -> None:
        """Renew until cancelled. Leases left then count as lost."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._expire_forever())
                group.create_task(self._renew_forever())
        finally:
            for lease in list(self._leases.values()):
                self._lose(lease, "its renewal has stopped")

    async def run_once(self) -> None:
        """Renew on one stream until it fails. Raises EtcdError when it does."""
        self._added.clear()
        if not self._leases:
            await self._added.wait()
        try:
            async with await self._connection.stream(lambda member: member.lease.LeaseKeepAlive) as stream:
                while self._leases:
                    await self._ask(stream)
                    await self._listen(stream, until=self._clock() + _TICK)
        finally:
            for lease in self._leases.values():
                lease.renewal_dropped()

    async def _renew_forever(self) -> None:
        backoff = Backoff(first=0.05, longest=0.5)
        while True:
            started = self._clock()
            try:
                await self.run_once()
            except EtcdError as error:
                _log.warning("cannot renew leases: %s", error)
            if self._clock() - started > 1.0:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _expire_forever(self) -> None:
        while True:
            self._expire(self._clock())
            await asyncio.sleep(_TICK)

    def _expire(self, now: float) -> None:
        for lease in [lease for lease in self._leases.values() if lease.is_expired(now)]:
            self._lose(lease, f"no renewal was confirmed within {lease.ttl} s")

    async def _ask(self, stream: Stream) -> None:
        now = self._clock()
        patience = self._connection.settings.request_timeout
        if any(lease.is_stalled(now, patience) for lease in self._leases.values()):
            self._connection.suspect(stream.place)
            raise EtcdUnavailable(f"{stream.place}: renewals are not answered")
        for lease in [lease for lease in self._leases.values() if lease.is_due(now)]:
            lease.renewal_sent(self._clock())
            await stream.write(LeaseKeepAliveRequest(ID=lease.id), timeout=min(patience, 1.0))

    async def _listen(self, stream: Stream, until: float) -> None:
        """Take answers until `until`; at least one, if there is one."""
        while (response := await stream.read(timeout=until - self._clock())) is not None:
            lease = self._leases.get(response.ID)
            if lease is None:
                continue
            lease.renewal_answered(float(response.TTL))
            if lease.lost.is_set():
                self._leases.pop(lease.id, None)

    def _lose(self, lease: Lease, why: str) -> None:
        self._leases.pop(lease.id, None)
        lease.lose(why)
