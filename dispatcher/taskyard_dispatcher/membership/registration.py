"""This dispatcher's entry in the registry of dispatchers: there while it is alive."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from taskyard_core.storage.etcd import Backoff, Etcd, EtcdError, Lease
from taskyard_core.storage.etcd.records import DispatcherRecord

_log = logging.getLogger(__name__)


class DispatcherRegistration:
    """Keeps the record in etcd while it runs; `registered` is set while it is known to be there."""

    def __init__(
        self,
        etcd: Etcd,
        record: DispatcherRecord,
        *,
        ttl: int = 10,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.record = record
        self.registered = asyncio.Event()
        self._etcd = etcd
        self._ttl = ttl
        self._renewal = etcd.renewal()
        self._backoff = Backoff(draw=draw)

    async def run(self) -> None:
        """Register, and again whenever the lease is lost, until cancelled; then leave at once."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renewal.run(), name="dispatcher-renewal")
            while True:
                try:
                    await self.run_once()
                except EtcdError as error:
                    _log.warning("cannot register this dispatcher: %s", error)
                    await self._etcd.clock.sleep(self._backoff.next())

    async def run_once(self) -> None:
        """Register and return once the registration is lost. Raises EtcdError."""
        lease = await self._renewal.grant(self._ttl)
        key = self._etcd.keys.dispatcher(self.record.dispatcher_id)
        try:
            await self._etcd.kv.put(key, self.record.to_json(), lease=lease.id, repeatable=True)
            self._backoff.reset()
            self.registered.set()
            # Not revoked when lost: should etcd still have it, the key moves to the next lease.
            await lease.lost.wait()
        except asyncio.CancelledError:
            await self._leave(lease)
            raise
        finally:
            self.registered.clear()
            self._renewal.abandon(lease)

    async def _leave(self, lease: Lease) -> None:
        try:
            await self._renewal.revoke(lease, timeout=1.0)
        except EtcdError as error:
            _log.warning("registration left to expire within %s s: %s", lease.ttl, error)
