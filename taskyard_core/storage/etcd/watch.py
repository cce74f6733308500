"""Following the keys under a prefix without missing any, whatever happens to the connection."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.backoff import Backoff
from taskyard_core.storage.etcd.access import Access, ChangeStream, Event, KeyValue
from taskyard_core.storage.etcd.change import Change, Changes, Delete, Put, difference
from taskyard_core.storage.etcd.errors import (
    EtcdCompacted,
    EtcdError,
    EtcdUnauthenticated,
    EtcdUnavailable,
    EtcdWentBack,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTiming:
    """Seconds between full listings (drawn anew each time) and between signs of life."""

    relist: tuple[float, float] = (30.0, 60.0)
    probe: float = 3.0
    """After this much silence the member is asked for its progress; after as much again the
    stream is given up."""
    recheck: float = 0.5
    """After a stream broke, all is listed this long after the next one was opened."""


class PrefixWatch:
    """An asynchronous iterator of `Changes`; the first is everything there is, as puts.

    It goes on through disconnects (from the last revision seen), compaction and an etcd whose revisions
    went back (lists again and reports the difference), and members that fall silent; it raises
    EtcdRejected only. Cancelling the wait for the next item loses nothing. Call `aclose` when done.
    """

    def __init__(
        self,
        access: Access,
        prefix: str,
        *,
        timing: WatchTiming | None = None,
        clock: Clock,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.prefix = prefix
        self.revision = 0
        self.heard_at = float("-inf")
        """Monotonic seconds of the last sign of life: how old `current` may be."""
        self._access = access
        self._timing = timing or WatchTiming()
        self._clock = clock
        self._draw = draw
        self._current: dict[str, KeyValue] = {}
        self._stream: ChangeStream | None = None
        self._probed = False
        self._broken = False
        self._relist_at = float("-inf")
        self._backoff = Backoff(draw=draw)

    @property
    def current(self) -> Mapping[str, KeyValue]:
        """The keys under the prefix as of `revision`; a live view."""
        return MappingProxyType(self._current)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Changes:
        while True:
            first = self.revision == 0
            try:
                changes = await self.run_once()
            except (EtcdUnavailable, EtcdUnauthenticated) as error:
                _log.info("watch of %s interrupted: %s", self.prefix, error)
                await self.aclose()
                await self._clock.sleep(self._backoff.next())
                continue
            if changes.changes or (first and changes.listed):
                return changes

    async def aclose(self) -> None:
        """Let go of the stream; iterating again resumes after the last revision seen."""
        stream, self._stream = self._stream, None
        self._probed = False
        if stream is not None:
            await stream.close()

    async def run_once(self) -> Changes:
        """Take one step: list, or read one response, or find that there is none.

        Raises EtcdUnavailable when the stream or listing failed, EtcdRejected when refused.
        """
        try:
            return await self._step()
        except EtcdError:
            self._broken = True
            raise

    async def _step(self) -> Changes:
        now = self._clock.monotonic()
        if now >= self._relist_at:
            return await self._list()
        if self._stream is None:
            await self._open(now)
        assert self._stream is not None
        try:
            events = await self._stream.read(timeout=min(self._timing.probe, self._relist_at - now))
        except (EtcdCompacted, EtcdWentBack) as error:
            await self._fall_behind(error)
            return Changes(self.revision, ())
        except EtcdError:
            await self.aclose()
            raise
        if events is None:
            await self._probe(self._stream)
            return Changes(self.revision, ())
        return self._take(events)

    async def _open(self, now: float) -> None:
        self._stream = await self._access.watch(self.prefix, start=self.revision + 1)
        if self._broken:
            # At the other end may be another history, that has come as far as the one that was followed.
            self._broken = False
            self._relist_at = min(self._relist_at, now + self._timing.recheck)

    async def _list(self) -> Changes:
        # A stream opened before would tell what the listing already says.
        await self.aclose()
        listing = await self._access.kv.get_prefix(self.prefix)
        found = {item.key: item for item in listing.items}
        changes = difference(self._current, found)
        if listing.revision < self.revision:
            told = "etcd is at revision %d, before %d, which %s was seen at: it was replaced or restored from a backup"
            _log.warning(told, listing.revision, self.revision, self.prefix)
        self._current = found
        self.revision = listing.revision
        self._alive()
        self._relist_at = self.heard_at + self._draw(*self._timing.relist)
        return Changes(self.revision, changes, listed=True)

    async def _probe(self, stream: ChangeStream) -> None:
        """Ask a silent member for a sign of life, or give it up if it owes us one."""
        if self._probed:
            self._access.suspect(stream.place)
            raise EtcdUnavailable(f"{stream.place}: the watch has gone silent")
        self._probed = True
        await stream.ask_progress()

    def _take(self, events: Sequence[Event]) -> Changes:
        self._probed = False
        self._alive()
        # The revision of a response without events is not taken: some releases of etcd report
        # progress before they have sent the events that led to it.
        changes = tuple(
            self._apply(event)
            for event in events
            if event.item.mod_revision > self.revision and (not event.deleted or event.item.key in self._current)
        )
        self.revision = max([self.revision, *(event.item.mod_revision for event in events)])
        return Changes(self.revision, changes)

    def _apply(self, event: Event) -> Change:
        item = event.item
        if event.deleted:
            return Delete(item.key, self._current.pop(item.key))
        self._current[item.key] = item
        return Put(item)

    async def _fall_behind(self, error: EtcdError) -> None:
        await self.aclose()
        _log.info("watch of %s cannot go on (%s); listing again", self.prefix, error)
        self._relist_at = float("-inf")

    def _alive(self) -> None:
        self.heard_at = self._clock.monotonic()
        self._backoff.reset()
