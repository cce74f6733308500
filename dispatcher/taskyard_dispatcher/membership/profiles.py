"""What each session's worker is, in etcd: written when it changes, and kept by a lease that goes with the session."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from taskyard_core.storage.etcd import Backoff, Etcd, EtcdError, Lease, LeaseNotFound

_log = logging.getLogger(__name__)

# As many as the sessions' registrations: they come together.
_AT_ONCE = 32


@dataclass(slots=True, eq=False)
class _Entry:
    value: bytes
    stored: bool = False
    lease: Lease | None = None


class Profiles:
    """Keeps a key in etcd for each session until the session is forgotten, and for up to `ttl` seconds more.

    etcd keeps all that was written until it is compacted. So nothing is written where the key is there already, as
    another dispatcher wrote it that had the session before: its lease is renewed from here on. Nobody ends a lease,
    since somebody else may live on it by now.
    """

    def __init__(self, etcd: Etcd, *, ttl: int = 60, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._etcd = etcd
        self._ttl = ttl
        self._renewal = etcd.renewal()
        self._backoff = Backoff(draw=draw)
        self._entries: dict[str, _Entry] = {}
        self._wanted = asyncio.Event()

    def keep(self, session_id: str, value: bytes) -> None:
        """Have the session's key say this."""
        former = self._entries.get(session_id)
        if former is None or former.value != value:
            self._entries[session_id] = _Entry(value, lease=former.lease if former else None)
            self._wanted.set()

    def forget(self, session_id: str) -> None:
        """Leave the key to whoever has the session now; without anybody it expires."""
        entry = self._entries.pop(session_id, None)
        if entry is not None and entry.lease is not None:
            self._renewal.abandon(entry.lease)

    async def run(self) -> None:
        """Write what is not there, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renewal.run(), name="profile-renewal")
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    await self._store_missing()
                    self._backoff.reset()
                except EtcdError as error:
                    _log.info("cannot write what workers are: %s", error)
                    self._wanted.set()
                    await self._etcd.clock.sleep(self._backoff.next())

    async def _store_missing(self) -> None:
        missing = [(id, entry) for id, entry in self._entries.items() if not entry.stored]
        for start in range(0, len(missing), _AT_ONCE):
            batch = missing[start : start + _AT_ONCE]
            outcomes = await asyncio.gather(*(self._store(*one) for one in batch), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def _store(self, session_id: str, entry: _Entry) -> None:
        key = self._etcd.keys.profile(session_id)
        found = await self._etcd.kv.get(key)
        if found is not None and found.value == entry.value and found.lease:
            lease, written = self._taken_over(session_id, entry, found.lease), True
        else:
            lease = entry.lease or await self._renewal.grant(self._ttl, on_lost=partial(self._lost, session_id))
            written = await self._put(key, entry, lease, found.mod_revision if found else 0)
        if self._entries.get(session_id) is not entry:
            self._left_behind(session_id, lease)
            return
        entry.lease, entry.stored = lease, written and not lease.lost.is_set()
        if not entry.stored:
            entry.lease = None
            self._renewal.abandon(lease)
            self._wanted.set()

    def _taken_over(self, session_id: str, entry: _Entry, lease_id: int) -> Lease:
        if entry.lease is not None and entry.lease.id == lease_id:
            return entry.lease
        return self._renewal.adopt(lease_id, self._ttl, on_lost=partial(self._lost, session_id))

    async def _put(self, key: str, entry: _Entry, lease: Lease, expected: int) -> bool:
        try:
            return (await self._etcd.kv.put_if(key, entry.value, mod_revision=expected, lease=lease.id)).done
        except LeaseNotFound:
            return False

    def _left_behind(self, session_id: str, lease: Lease) -> None:
        """The session was forgotten meanwhile, or says something else now."""
        present = self._entries.get(session_id)
        if present is None or present.lease is not lease:
            self._renewal.abandon(lease)

    def _lost(self, session_id: str, lease: Lease) -> None:
        entry = self._entries.get(session_id)
        if entry is not None and entry.lease is lease:
            entry.lease, entry.stored = None, False
            self._wanted.set()
