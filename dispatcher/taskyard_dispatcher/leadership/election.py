"""Taking turns at leading: a dispatcher is a follower or the leader, never both."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

from taskyard_core.storage.etcd import Backoff, Etcd, EtcdError, Lease, WatchTiming
from taskyard_core.storage.etcd.records import Candidate, leader_of
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.leadership.candidacy import Candidacy, standing
from taskyard_dispatcher.leadership.term import Term

_log = logging.getLogger(__name__)

Work = Callable[[Term], Coroutine[Any, Any, None]]


class Ending(Enum):
    """Why a term ended."""

    RESIGNED = "resigned"
    UNCONFIRMED = "not confirmed in time"
    WORK_ENDED = "the leader's work ended"
    KEY_GONE = "the candidate's key is gone"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionTiming:
    """Seconds. `ttl` is how long a leader that vanished is waited for."""

    ttl: int = 5
    margin: float = 1.0
    rest: tuple[float, float] = (1.0, 3.0)
    """Pause before standing again after the leader's work failed, so that others come first."""
    stop_grace: float = 0.5
    """How long cancelled work may take before the key is given up all the same."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin < self.ttl:
            raise ValueError("the margin must be shorter than the TTL")


class Elector:
    """Stands for election as long as it runs, and runs the leader's work while it leads."""

    def __init__(
        self,
        etcd: Etcd,
        candidate: Candidate,
        *,
        timing: ElectionTiming | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.candidate = candidate
        self._etcd = etcd
        self._timing = timing or ElectionTiming()
        self._draw = draw
        self._backoff = Backoff(draw=draw)
        # Of its own, so that the leader's renewals never queue behind those of worker sessions.
        self._renewal = etcd.renewal()
        # A follower whose member fell silent has to notice before it is needed as the next leader.
        self._candidates = etcd.watch(etcd.keys.election, timing=WatchTiming(probe=1.0))
        self._leader: Candidate | None = None
        self._term: Term | None = None
        self._leftover: Lease | None = None
        self._changed = asyncio.Event()
        self._resigning = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()

    @property
    def is_leader(self) -> bool:
        """Whether this dispatcher leads and may trust that right now."""
        return self._term is not None and self._term.is_trusted()

    @property
    def leading(self) -> int:
        """The number of the term that this dispatcher leads and may trust right now; 0 for none."""
        return self._term.number if self._term is not None and self.is_leader and self._term.begun.is_set() else 0

    @property
    def leader(self) -> Candidate | None:
        """Who leads, as far as etcd was last heard of; for showing, not for deciding."""
        return self._leader

    async def run(self, on_lead: Work) -> None:
        """Follow and lead in turn until `resign` or cancellation; the key is gone when it returns.

        `on_lead` is started with the term each time this dispatcher is elected, and cancelled as
        soon as the term can't be trusted. When it returns or raises by itself, the elector resigns
        and stands again after a rest. etcd being away is waited out.
        """
        self._stopped.clear()
        try:
            async with asyncio.TaskGroup() as group:
                servants = [
                    group.create_task(self._renewal.run(), name="election-renewal"),
                    group.create_task(self._observe(), name="election-watch"),
                ]
                await self._run_turns(on_lead)
                for servant in servants:
                    servant.cancel()
        finally:
            await self._candidates.aclose()
            self._stopped.set()

    async def resign(self) -> None:
        """Step down for good; return when the key is gone (or left to expire, with etcd away)."""
        self._resigning.set()
        self._changed.set()
        await self._stopped.wait()

    async def run_once(self, on_lead: Work) -> None:
        """Stand for election once: follow, lead if elected, and withdraw. Raises EtcdError."""
        await self._finish_resigning()
        lease = await self._renewal.grant(self._timing.ttl, on_lost=lambda _: self._changed.set())
        work: asyncio.Task[None] | None = None
        ending: Ending | None = None
        try:
            revision = await self._campaign(lease)
            if await self._follow(lease, revision):
                term = self._elected(lease, revision)
                work = asyncio.create_task(on_lead(term), name=f"leader-{revision}")
                ending = await self._lead(lease, term, work)
        finally:
            await self._withdraw(lease, work)
        if ending is Ending.WORK_ENDED:
            await self._pause(self._draw(*self._timing.rest))

    async def _run_turns(self, on_lead: Work) -> None:
        while not self._resigning.is_set():
            began = self._etcd.clock.monotonic()
            try:
                await self.run_once(on_lead)
            except EtcdError as error:
                _log.warning("cannot stand for election: %s", error)
            if self._etcd.clock.monotonic() - began >= self._timing.ttl:
                self._backoff.reset()
            # However a turn ended: whatever ends each at once would have etcd write as fast as it can.
            await self._pause(self._backoff.next())

    async def _campaign(self, lease: Lease) -> int:
        """Create the candidate's key and return the revision, which says who came first."""
        key, value = self._etcd.keys.candidate(lease.id), self.candidate.to_json()
        outcome = await self._etcd.kv.put_if(key, value, mod_revision=0, lease=lease.id)
        if not outcome.done:
            raise EtcdError(f"{key} exists although its lease is new")
        return outcome.revision

    def _elected(self, lease: Lease, revision: int) -> Term:
        confirmed = partial(self._holds, lease, revision)
        return Term(revision, lease, margin=self._timing.margin, clock=self._etcd.clock.monotonic, confirmed=confirmed)

    async def _holds(self, lease: Lease, revision: int) -> bool:
        """Whether etcd still has the key that came first; raises StoreUnavailable."""
        try:
            item = await self._etcd.kv.get(self._etcd.keys.candidate(lease.id))
        except EtcdError as error:
            raise StoreUnavailable("etcd", str(error)) from error
        return item is not None and item.create_revision == revision

    async def _tell(self, lease: Lease, term: Term) -> None:
        """Let everybody know the term's number, where it is not what they take it for."""
        await term.begun.wait()
        _log.info("leading: term %d, dispatcher %s", term.number, self.candidate.dispatcher_id)
        key, value = self._etcd.keys.candidate(lease.id), replace(self.candidate, term=term.number).to_json()
        while term.number != term.revision:
            try:
                await self._etcd.kv.put_if(key, value, mod_revision=term.revision, lease=lease.id)
            except EtcdError as error:
                _log.warning("term %d is not shown yet: %s", term.number, error)
                await self._etcd.clock.sleep(self._backoff.next())
            else:
                return

    async def _follow(self, lease: Lease, revision: int) -> bool:
        """Wait to be elected; False if the candidacy ended first."""
        while True:
            self._changed.clear()
            if self._resigning.is_set() or lease.lost.is_set():
                return False
            match self._standing(lease, revision):
                case Candidacy.LEADING:
                    return True
                case Candidacy.GONE:
                    return False
            await self._changed.wait()

    async def _lead(self, lease: Lease, term: Term, work: asyncio.Task[None]) -> Ending:
        """Let the work go on until the term ends, and say why it ended."""
        self._term = term
        telling = asyncio.create_task(self._tell(lease, term), name=f"leader-{term.revision}-told")
        work.add_done_callback(lambda _: self._changed.set())
        ending: Ending | None = None
        try:
            while (ending := self._ending(lease, term, work)) is None:
                self._changed.clear()
                await self._wait_changed(term.trusted_until - self._etcd.clock.monotonic())
            return ending
        finally:
            self._term = None
            term.end((ending or Ending.CANCELLED).value)
            work.cancel()
            telling.cancel()
            _log.info("no longer leading: term %d: %s", term.number, term.ended)

    def _ending(self, lease: Lease, term: Term, work: asyncio.Task[None]) -> Ending | None:
        if self._resigning.is_set():
            return Ending.RESIGNED
        if not term.is_trusted():
            return Ending.UNCONFIRMED
        if work.done():
            return Ending.WORK_ENDED
        if self._standing(lease, term.revision) is Candidacy.GONE:
            return Ending.KEY_GONE
        return None

    def _standing(self, lease: Lease, revision: int) -> Candidacy:
        watch = self._candidates
        key = self._etcd.keys.candidate(lease.id)
        return standing(watch.current, watch.revision, key, revision)

    async def _withdraw(self, lease: Lease, work: asyncio.Task[None] | None) -> None:
        """Give up the key once the work has stopped, or soon in any case; then see the work end."""
        if work is not None:
            await asyncio.wait({work}, timeout=self._timing.stop_grace)
        await self._give_up(lease)
        if work is not None:
            # Two terms of one process must not overlap, however long the work takes to stop.
            await asyncio.wait({work})
            _report(work)

    async def _give_up(self, lease: Lease) -> None:
        """Delete the lease, and with it the key."""
        self._leftover = lease
        try:
            await self._finish_resigning()
        except EtcdError as error:
            _log.warning("candidacy left to expire within %s s: %s", lease.ttl, error)

    async def _finish_resigning(self) -> None:
        # A key left behind from an outage would count as the leader's until its lease expires,
        # which etcd puts off by a whole TTL when it restarts.
        if self._leftover is not None:
            await self._renewal.revoke(self._leftover, timeout=1.0)
            self._leftover = None

    async def _observe(self) -> None:
        """Keep the view of all candidates up to date."""
        backoff = Backoff(draw=self._draw)
        while True:
            try:
                async for _ in self._candidates:
                    self._changed.set()
                    self._note_leader()
                    backoff.reset()
            except EtcdError as error:
                _log.warning("cannot watch the election: %s", error)
                await self._etcd.clock.sleep(backoff.next())

    def _note_leader(self) -> None:
        try:
            self._leader = leader_of(self._candidates.current.values())
        except ValueError as error:
            _log.warning("cannot tell who leads: %s", error)
            self._leader = None

    async def _wait_changed(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            # Time passing is one of the things that can end a term: the caller looks again.
            return

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless resigning."""
        resigned = asyncio.ensure_future(self._resigning.wait())
        try:
            await asyncio.wait({resigned}, timeout=seconds)
        finally:
            resigned.cancel()


def _report(work: asyncio.Task[None]) -> None:
    error = None if work.cancelled() else work.exception()
    if isinstance(error, TermOver):
        _log.info("%s stopped: %s", work.get_name(), error)
    elif error is not None:
        _log.error("%s failed", work.get_name(), exc_info=error)
