"""The worker sessions this dispatcher vouches for: a lease in etcd for each."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from taskyard_core.domain.session_names import public_name
from taskyard_core.storage.etcd import Backoff, Etcd, EtcdError, EtcdUnavailable, Lease
from taskyard_core.storage.etcd.records import SessionEntry

_log = logging.getLogger(__name__)

# Registrations in flight at once: enough to bring back hundreds of sessions within a second.
_AT_ONCE = 32


@dataclass(slots=True, eq=False)
class _Entry:
    session_id: str
    record: SessionEntry
    stored: bool = False
    attempted: asyncio.Event = field(default_factory=asyncio.Event)


class SessionRegistry:
    """Keeps an entry in etcd for each session until the session is forgotten or removed.

    The dispatcher says what should be there; `run` makes it so, again and again if etcd goes away
    or loses leases. What etcd does never ends a session here. The exception is another dispatcher
    that has registered a higher generation: it has adopted the session, so the entry is its own,
    and `on_superseded` is called with the session's id.
    """

    def __init__(
        self,
        etcd: Etcd,
        *,
        ttl: int = 10,
        on_superseded: Callable[[str], None] | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._etcd = etcd
        self._ttl = ttl
        self._on_superseded = on_superseded
        self._renewal = etcd.renewal()
        self._backoff = Backoff(draw=draw)
        self._entries: dict[str, _Entry] = {}
        self._leases: dict[str, Lease] = {}
        self._wanted = asyncio.Event()

    async def register(self, session_id: str, record: SessionEntry) -> bool:
        """Vouch for a session, or replace what was said about it, and wait for the first try.

        Returns whether etcd holds the entry; if not, it is tried again as long as the session is
        vouched for. Needs `run` to be running.
        """
        self._etcd.keys.session(session_id)  # Refuses an impossible id here, not in the background.
        entry = _Entry(session_id, record)
        previous = self._entries.get(session_id)
        if previous is not None:
            previous.attempted.set()
        self._entries[session_id] = entry
        self._wanted.set()
        await entry.attempted.wait()
        return entry.stored

    def forget(self, session_id: str) -> None:
        """Stop vouching: the entry expires within the TTL unless another dispatcher takes it."""
        lease = self._drop(session_id)
        if lease is not None:
            self._renewal.abandon(lease)

    async def remove(self, session_id: str) -> None:
        """Stop vouching and delete the entry now; with etcd away it is left to expire."""
        lease = self._drop(session_id)
        if lease is not None:
            await self._revoke(lease)

    async def run(self) -> None:
        """Register what should be registered until cancelled; the entries are left to expire."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renewal.run(), name="session-renewal")
            while True:
                await self._wanted.wait()
                try:
                    await self.run_once()
                    self._backoff.reset()
                except EtcdError as error:
                    _log.warning("cannot register worker sessions: %s", error)
                    self._wanted.set()
                    await self._etcd.clock.sleep(self._backoff.next())

    async def run_once(self) -> None:
        """Register every session that isn't. Raises the first EtcdError after trying the others."""
        self._wanted.clear()
        missing = [entry for entry in self._entries.values() if not entry.stored]
        failures: list[EtcdError] = []
        for batch in _batches(missing):
            if any(isinstance(failure, EtcdUnavailable) for failure in failures):
                # The rest would only wait for the same timeouts; nobody has to wait for them.
                for entry in batch:
                    entry.attempted.set()
                continue
            outcomes = await asyncio.gather(*(self._try(entry) for entry in batch))
            failures += [failure for failure in outcomes if failure is not None]
        if failures:
            raise failures[0]

    async def _try(self, entry: _Entry) -> EtcdError | None:
        try:
            await self._store(entry)
        except EtcdError as error:
            return error
        finally:
            entry.attempted.set()
        return None

    async def _store(self, entry: _Entry) -> None:
        lease = self._leases.get(entry.session_id) or await self._grant(entry.session_id)
        try:
            written = await self._write(entry, lease)
        finally:
            if self._leases.get(entry.session_id) is not lease:
                # Forgotten, removed or lost meanwhile: what was written must not outlive that.
                await self._revoke(lease)
        if self._entries.get(entry.session_id) is not entry:
            return
        if not written:
            self._superseded(entry.session_id)
        else:
            entry.stored = self._leases.get(entry.session_id) is lease

    async def _grant(self, session_id: str) -> Lease:
        lease = await self._renewal.grant(self._ttl, on_lost=lambda lost: self._lost(session_id, lost))
        if session_id in self._entries:
            self._leases[session_id] = lease
        return lease

    async def _write(self, entry: _Entry, lease: Lease) -> bool:
        """Put the entry; False if a later generation is there already."""
        key, expected = self._etcd.keys.session(entry.session_id), 0
        while True:
            outcome = await self._etcd.kv.put_if(key, entry.record.to_json(), mod_revision=expected, lease=lease.id)
            if outcome.done:
                return True
            if outcome.existing is not None and _generation(outcome.existing.value) > entry.record.generation:
                return False
            expected = outcome.existing.mod_revision if outcome.existing is not None else 0

    def _drop(self, session_id: str) -> Lease | None:
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            entry.attempted.set()
        return self._leases.pop(session_id, None)

    def _superseded(self, session_id: str) -> None:
        _log.info("session %s was adopted by another dispatcher", public_name(session_id))
        self.forget(session_id)
        if self._on_superseded is not None:
            self._on_superseded(session_id)

    def _lost(self, session_id: str, lease: Lease) -> None:
        if self._leases.get(session_id) is not lease:
            return
        del self._leases[session_id]
        self._entries[session_id].stored = False
        self._wanted.set()

    async def _revoke(self, lease: Lease) -> None:
        try:
            await self._renewal.revoke(lease)
        except EtcdError as error:
            _log.warning("session entry left to expire within %s s: %s", lease.ttl, error)


def _generation(value: bytes) -> int:
    try:
        return SessionEntry.from_json(value).generation
    except ValueError:
        # Not written by a dispatcher, so it doesn't stand in the way of one.
        return -1


def _batches(entries: Iterable[_Entry]) -> Iterable[list[_Entry]]:
    rest = iter(entries)
    while batch := list(itertools.islice(rest, _AT_ONCE)):
        yield batch
