"""A period of leadership, as far as the leader may trust it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from taskyard_core.storage.etcd import Lease
from taskyard_core.storage.term import TermOver


async def _unconfirmed() -> bool:
    return False


class Term:
    """The right to lead. `revision` is where in etcd's history the leader became a candidate.

    `number` is what the task store knows it by once it has begun: the revision, as long as etcd keeps its history.

    It is trusted until `margin` seconds before the lease could expire, counted from the start of
    the last renewal that etcd confirmed, on the monotonic clock; so a process that was stopped
    finds its trust expired when it wakes. Once over, a term is never trusted again.
    """

    def __init__(
        self,
        revision: int,
        lease: Lease,
        *,
        margin: float,
        clock: Callable[[], float] = time.monotonic,
        confirmed: Callable[[], Awaitable[bool]] = _unconfirmed,
    ) -> None:
        self.revision = revision
        self.number = revision
        self.begun = asyncio.Event()
        self.confirmed = confirmed
        """Asks etcd whether it still holds this election; raises StoreUnavailable."""
        self._lease = lease
        self._margin = margin
        self._clock = clock
        self._ended: str | None = None

    def __repr__(self) -> str:
        return f"Term({self.number})"

    @property
    def trusted_until(self) -> float:
        """Monotonic seconds until which the term can be trusted, unless it ends before."""
        return self._lease.confirmed_until - self._margin

    @property
    def ended(self) -> str | None:
        """Why the term ended, or None."""
        return self._ended

    def begin(self, number: int) -> None:
        """Note the number under which the task store knows it from now on."""
        self.number = number
        self.begun.set()

    def is_trusted(self, now: float | None = None) -> bool:
        """Whether this process may still act as the leader at `now` (monotonic seconds)."""
        at = self._clock() if now is None else now
        return self._ended is None and not self._lease.lost.is_set() and at < self.trusted_until

    def require(self) -> None:
        """Raise TermOver unless the term is trusted right now.

        Call this before each act of a leader: after a pause of the whole process, the code that
        acts may be resumed before the code that would have cancelled it.
        """
        if not self.is_trusted():
            raise TermOver(f"term {self.number}: {self._ended or 'not confirmed in time'}")

    def end(self, why: str) -> None:
        """End the term for good."""
        self._ended = self._ended or why
