"""How sessions are spread over dispatchers: who has more than its share, who is cut off, and whom to send on. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from taskyard_core.storage.dispatchers import Peer
from taskyard_dispatcher.sessions.state import Session
from taskyard_dispatcher.timing import BalanceTiming

TOLERANCE = 1.25
"""A dispatcher keeps up to so many times its share."""


def surplus(sessions: int, peers: Iterable[Peer]) -> int:
    """How many of its sessions a dispatcher has too many, beside others that take some.

    Whoever sends one on never falls below the mean, which moving changes nothing of; so at rest nothing moves.
    """
    others = [peer.sessions for peer in peers if peer.accepting]
    if not others:
        return 0
    share = (sessions + sum(others)) / (len(others) + 1)
    return max(0, sessions - max(math.ceil(share), math.floor(TOLERANCE * share)))


@dataclass(frozen=True, slots=True)
class Isolation:
    """Since when (monotonic) this dispatcher has no entry in etcd although others have theirs."""

    since: float | None = None

    def after(self, now: float, registered: bool, peers: Iterable[Peer]) -> "Isolation":
        """What the next look adds. Where nobody is registered it is etcd that is away, and nobody is better off."""
        if registered or not any(peer.registered for peer in peers):
            return Isolation()
        return self if self.since is not None else Isolation(now)

    def lasts(self, now: float, patience: float) -> bool:
        """Whether it is no passing matter: leases end, and entries come back, some seconds apart."""
        return self.since is not None and now - self.since >= patience


@dataclass(frozen=True, slots=True)
class _Stay:
    """A session here: since when, and how often and when it was last sent on."""

    since: float
    times: int = 0
    sent_at: float = -math.inf

    def may_go(self, now: float, timing: BalanceTiming) -> bool:
        rest = min(timing.longest_rest, timing.rest * 2.0 ** (self.times - 1)) if self.times else 0.0
        return now - self.since >= timing.settled and now - self.sent_at >= rest


class Movement:
    """Chooses whom to send on, and remembers it: a worker that knows no other way comes back, and is left alone."""

    def __init__(self, timing: BalanceTiming = BalanceTiming()) -> None:
        self._timing = timing
        self._stays: dict[str, _Stay] = {}

    def look(self, now: float, sessions: Iterable[Session]) -> None:
        """Note who is here. Of those who left, what was sent on is remembered."""
        here = {session.id for session in sessions}
        gone = now - self._timing.longest_rest
        self._stays = {id: stay for id, stay in self._stays.items() if id in here or stay.sent_at > gone}
        for id in here - self._stays.keys():
            self._stays[id] = _Stay(now)

    def choose(self, now: float, sessions: Iterable[Session], count: int) -> Sequence[Session]:
        """At most `count` sessions to send on, those that run least first."""
        if count <= 0:
            return []
        able = [s for s in sessions if s.accepting and self._may_go(now, s)]
        chosen = sorted(able, key=lambda session: (len(session.running), session.id))[:count]
        for session in chosen:
            stay = self._stays[session.id]
            self._stays[session.id] = replace(stay, since=now, times=stay.times + 1, sent_at=now)
        return chosen

    def _may_go(self, now: float, session: Session) -> bool:
        stay = self._stays.get(session.id)
        return stay is not None and stay.may_go(now, self._timing)
