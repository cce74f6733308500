"""A lease as its holder knows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)

# A renewal is due when a third of the TTL has gone, which leaves time for two more tries.
_RENEWALS_PER_TTL = 3


class Lease:
    """A promise by etcd to keep some keys for `ttl` seconds after each renewal.

    All times are monotonic seconds. `confirmed_until` is the start of the last renewal that etcd
    confirmed, plus the TTL: until then the lease exists unless somebody revoked it. `lost` is set
    once that time has passed or etcd has said that the lease is gone.
    """

    def __init__(
        self,
        lease_id: int,
        ttl: float,
        *,
        granted_at: float,
        on_lost: Callable[[Lease], None] | None = None,
    ) -> None:
        self.id = lease_id
        self.ttl = ttl
        self.confirmed_until = granted_at + ttl
        self.lost = asyncio.Event()
        self._on_lost = on_lost
        self._sent_at: float | None = None

    def renew_at_once(self) -> None:
        """Nobody here knows when it was renewed last."""
        self.confirmed_until -= self.ttl / _RENEWALS_PER_TTL

    def is_due(self, now: float) -> bool:
        """Whether it is time to ask for the next renewal (and none has been asked for)."""
        return self._sent_at is None and now >= self._renew_at

    def is_stalled(self, now: float, patience: float) -> bool:
        """Whether a renewal was asked for more than `patience` seconds ago without an answer."""
        return self._sent_at is not None and now - self._sent_at > min(patience, self.ttl / 5)

    def attention_at(self, patience: float) -> float:
        """When there is next something to look at: a renewal is due, or its answer overdue."""
        return self._renew_at if self._sent_at is None else self._sent_at + min(patience, self.ttl / 5)

    @property
    def _renew_at(self) -> float:
        return self.confirmed_until - self.ttl + self.ttl / _RENEWALS_PER_TTL

    def is_expired(self, now: float) -> bool:
        """Whether no renewal has been confirmed for a whole TTL."""
        return now >= self.confirmed_until

    def renewal_sent(self, now: float) -> None:
        """Note that a renewal is about to be asked for."""
        self._sent_at = now

    def renewal_dropped(self) -> None:
        """Note that the renewal asked for will not be answered."""
        self._sent_at = None

    def renewal_answered(self, ttl: float) -> None:
        """Take etcd's answer: the seconds the lease lives on, or 0 or less if it is gone."""
        sent_at, self._sent_at = self._sent_at, None
        if ttl <= 0:
            self.lose("etcd says that it is gone")
        elif sent_at is not None and not self.lost.is_set():
            # Count from the question: etcd restarted the clock at some time after that.
            self.ttl = ttl
            self.confirmed_until = max(self.confirmed_until, sent_at + ttl)

    def lose(self, why: str) -> None:
        """Mark the lease as lost, once and for all."""
        if self.lost.is_set():
            return
        _log.info("lease %x is lost: %s", self.id, why)
        self.lost.set()
        if self._on_lost is not None:
            self._on_lost(self)
