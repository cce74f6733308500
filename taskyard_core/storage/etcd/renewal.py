"""Keeping leases alive: many leases, one stream."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Self

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.backoff import Backoff
from taskyard_core.storage.etcd.access import Access, KeepAlive
from taskyard_core.storage.etcd.alarm import Alarm
from taskyard_core.storage.etcd.errors import EtcdError, EtcdUnavailable, LeaseNotFound
from taskyard_core.storage.etcd.lease import Lease

_log = logging.getLogger(__name__)

# Renewals due within this many seconds go together.
_TICK = 0.1
_NEVER = float("inf")


class LeaseRenewal:
    """Grants leases and renews them while it runs; `async with` runs it in the background.

    Leases that matter at different speeds should have a renewal each: answers on a stream come one
    after the other.
    """

    def __init__(
        self,
        access: Access,
        *,
        clock: Clock,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._access = access
        self._clock = clock
        self._draw = draw
        self._leases: dict[int, Lease] = {}
        self._attention = Alarm(clock.monotonic)
        self._expiry = Alarm(clock.monotonic)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run(), name="lease-renewal")
        return self

    async def __aexit__(self, *_: object) -> None:
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
        asked_at = self._clock.monotonic()
        granted = await self._access.grant(ttl)
        # An attempt that failed before this one only makes the start too early: the safe side.
        lease = Lease(granted.lease_id, granted.ttl, granted_at=asked_at, on_lost=on_lost)
        self._leases[lease.id] = lease
        self._attention.ring(lease.attention_at(self._access.patience))
        self._expiry.ring(lease.confirmed_until)
        return lease

    def adopt(self, lease_id: int, ttl: int, *, on_lost: Callable[[Lease], None] | None = None) -> Lease:
        """Renew somebody else's lease from now on; the first answer tells whether it still exists."""
        now = self._clock.monotonic()
        lease = Lease(lease_id, ttl, granted_at=now, on_lost=on_lost)
        lease.renew_at_once()
        self._leases[lease.id] = lease
        self._attention.ring()
        self._expiry.ring(lease.confirmed_until)
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
            await self._access.revoke(lease.id, timeout=timeout)
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
        """Renew on one stream until it fails or no lease is left. Raises EtcdError when it fails."""
        while not self._leases:
            await self._attention.wait(_NEVER)
        stream = await self._access.keep_alive()
        listening = asyncio.create_task(self._listen(stream), name="lease-answers")
        listening.add_done_callback(lambda _: self._attention.ring())
        try:
            while self._leases and not listening.done():
                await self._ask(stream)
                if not listening.done():
                    await self._attention.wait(self._next_attention())
            if listening.done():
                listening.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await stream.close()
            for lease in self._leases.values():
                lease.renewal_dropped()

    async def _renew_forever(self) -> None:
        backoff = Backoff(first=0.05, longest=0.5, draw=self._draw)
        while True:
            started = self._clock.monotonic()
            try:
                await self.run_once()
            except EtcdError as error:
                _log.warning("cannot renew leases: %s", error)
            if self._clock.monotonic() - started > 1.0:
                backoff.reset()
            await self._clock.sleep(backoff.next())

    async def _expire_forever(self) -> None:
        while True:
            self._expire(self._clock.monotonic())
            await self._expiry.wait(min((lease.confirmed_until for lease in self._leases.values()), default=_NEVER))

    def _expire(self, now: float) -> None:
        for lease in [lease for lease in self._leases.values() if lease.is_expired(now)]:
            self._lose(lease, f"no renewal was confirmed within {lease.ttl} s")

    def _next_attention(self) -> float:
        patience = self._access.patience
        soonest = min((lease.attention_at(patience) for lease in self._leases.values()), default=_NEVER)
        return max(soonest, self._clock.monotonic() + _TICK)

    async def _ask(self, stream: KeepAlive) -> None:
        now = self._clock.monotonic()
        patience = self._access.patience
        if any(lease.is_stalled(now, patience) for lease in self._leases.values()):
            self._access.suspect(stream.place)
            raise EtcdUnavailable(f"{stream.place}: renewals are not answered")
        for lease in [lease for lease in self._leases.values() if lease.is_due(now)]:
            lease.renewal_sent(self._clock.monotonic())
            await stream.ask(lease.id, timeout=min(patience, 1.0))

    async def _listen(self, stream: KeepAlive) -> None:
        """Take answers until the stream ends."""
        while True:
            answer = await stream.read()
            lease = self._leases.get(answer.lease_id)
            if lease is None:
                continue
            lease.renewal_answered(answer.ttl)
            if lease.lost.is_set():
                self._leases.pop(lease.id, None)

    def _lose(self, lease: Lease, why: str) -> None:
        self._leases.pop(lease.id, None)
        lease.lose(why)
