"""This dispatcher's entry in the registry of dispatchers: there while it is alive."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass

from taskyard_core.storage.etcd import Backoff, Etcd, EtcdError, Lease

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherRecord:
    """A dispatcher as others see it; addresses are host:port, `started_at` is ISO 8601 in UTC."""

    dispatcher_id: str
    pid: int
    pod: str
    session_address: str
    http_address: str
    version: str
    started_at: str

    def to_json(self) -> bytes:
        """Return the value of the dispatcher's key."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, value: bytes) -> DispatcherRecord:
        """Return the record that was written as `value`. Raises ValueError if none was."""
        try:
            fields = json.loads(value)
            return cls(
                dispatcher_id=str(fields["dispatcher_id"]),
                pid=int(fields["pid"]),
                pod=str(fields["pod"]),
                session_address=str(fields["session_address"]),
                http_address=str(fields["http_address"]),
                version=str(fields["version"]),
                started_at=str(fields["started_at"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a dispatcher: {value!r}") from error


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
                    await asyncio.sleep(self._backoff.next())

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
