"""Answers for the sessions of this dispatcher where everybody sees it, and sends workers on that others should have."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.membership import DispatcherRegistration
from taskyard_dispatcher.membership.balance import Isolation, Movement, surplus
from taskyard_dispatcher.membership.suspicion import Patience, Suspicion
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.sessions.roster import Roster

_log = logging.getLogger(__name__)

REASON = "not held by its dispatcher"
HURRY = 10
"""A dispatcher that is cut off sends so many parts of its workers on, one with each look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchingTiming:
    """Seconds: between two looks, and what a session gets that is not held here although it should be."""

    interval: float
    patience: Patience

    @classmethod
    def for_sessions(cls, timeout: float, grace: float) -> "VouchingTiming":
        """For a session timeout, and as much more as a broken stream has."""
        spell = grace + timeout / 2
        return cls(
            interval=min(2.0, timeout / 5),
            # Nobody else's word counts for a session that names this dispatcher.
            patience=Patience(grace=1.5 * timeout, missing=spell, lease=spell, vouched=-math.inf),
        )


class Vouching:
    """Writes this dispatcher's row in the task store, which stands for all live sessions that name it.

    So it gives those up by itself that it does not hold: a hello whose stream broke before it was answered, say. What
    is not looked at is not answered for: while the look fails, nothing is written.
    """

    def __init__(
        self,
        *,
        dispatcher: str,
        pod: str,
        address: str,
        sessions: Sessions,
        roster: Roster,
        loss: Loss,
        registration: DispatcherRegistration,
        leading: Callable[[], int],
        clock: Clock,
        timing: VouchingTiming,
        fresh: float,
    ) -> None:
        self._dispatcher = dispatcher
        self._pod = pod
        self._address = address
        self._sessions = sessions
        self._roster = roster
        self._loss = loss
        self._registration = registration
        self._leading = leading
        self._clock = clock
        self._timing = timing
        self._fresh = fresh
        self._suspicion = Suspicion()
        self._steady_since: float | None = None
        self._isolation = Isolation()
        self._movement = Movement()
        self._cut_off = False
        self._leaving = False
        self._left = False

    @property
    def obstacle(self) -> str | None:
        """Why workers should go elsewhere, None if they need not."""
        return "etcd has no entry of this dispatcher, and others have theirs" if self._cut_off else None

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            try:
                await self.run_once()
            except StoreUnavailable as error:
                _log.warning("this dispatcher cannot answer for its sessions: %s", error)
                self._suspicion, self._steady_since = Suspicion(), None
            await self._clock.sleep(self._timing.interval)

    async def run_once(self) -> None:
        """Give up what is not here, answer for the rest, and send on whom others should have."""
        if self._left:
            return
        await self._give_up_strays()
        peers = [peer for peer in await self._sessions.vouch(self._note()) if peer.age <= self._fresh]
        self._isolate(peers)
        self._send_on(peers)

    def leave(self) -> None:
        """Take no more workers: this dispatcher is about to stop."""
        self._leaving = True

    async def withdraw(self) -> None:
        """Answer for nobody any more; with Postgres away that is seen a little later."""
        self._left = True
        try:
            await self._sessions.leave(self._dispatcher)
        except StoreUnavailable as error:
            _log.info("the dispatcher's row is left behind: %s", error)

    async def _give_up_strays(self) -> None:
        live = await self._sessions.live(self._dispatcher)
        now, patience = self._clock.monotonic(), self._timing.patience
        if self._steady_since is None:
            self._steady_since = now
        # One whose stream has ended is in its grace, which others see to.
        held = {session.id for session in self._roster}
        self._suspicion = self._suspicion.after(now, live, held, patience)
        for session, generation in self._suspicion.ripe(now, self._steady_since, patience):
            await self._loss.lose(session, generation, REASON)

    def _note(self) -> DispatcherNote:
        held = [session for session in self._roster if session.connected]
        return DispatcherNote(
            id=self._dispatcher,
            pod=self._pod,
            address=self._address,
            registered=self._registration.registered.is_set(),
            leading=self._leading(),
            accepting=not self._leaving and not self._cut_off,
            sessions=len(held),
            slots=sum(session.slots for session in held),
        )

    def _isolate(self, peers: Sequence[Peer]) -> None:
        now = self._clock.monotonic()
        self._isolation = self._isolation.after(now, self._registration.registered.is_set(), peers)
        cut_off = self._isolation.lasts(now, self._fresh)
        if cut_off and not self._cut_off:
            _log.warning("cut off from etcd, where others are registered: workers are sent to them")
        if self._cut_off and not cut_off:
            _log.info("no longer cut off from etcd")
        self._cut_off = cut_off

    def _send_on(self, peers: Sequence[Peer]) -> None:
        now, held = self._clock.monotonic(), [session for session in self._roster if session.connected]
        self._movement.look(now, held)
        if self._leaving or not any(peer.accepting for peer in peers):
            return
        # Slowly, since those that take them are seen late.
        count = math.ceil(len(held) / HURRY) if self._cut_off else min(1, surplus(len(held), peers))
        for session in self._movement.choose(now, held, count):
            _log.info(
                "worker sent to another dispatcher", extra={"session": session.runner.session, "sessions": len(held)}
            )
            session.go_away()
