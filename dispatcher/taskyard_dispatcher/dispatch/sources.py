"""Where tasks are read: lanes in Redis, and while it is away the tables in Postgres."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from taskyard_core.runtime import failpoints
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.changes import Changes
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed, Head
from taskyard_core.storage.lanes import Entry, LaneStore, Quota, by_lane
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.dispatch.assignment import Reservation
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.gates import passing
from taskyard_dispatcher.dispatch.pipeline import Claiming
from taskyard_dispatcher.dispatch.planning import within
from taskyard_dispatcher.sessions.state import Session

_log = logging.getLogger(__name__)

CLAIM_SIZE = 1000


class Offer(NamedTuple):
    """A lane entry that a slot of a session is kept for."""

    entry: Entry
    session: Session


class LaneSource:
    """Reads lanes. Entries of several reads are claimed together, and then acknowledged or given back."""

    def __init__(
        self,
        *,
        consumer: str,
        board: LaneBoard,
        lanes: LaneStore,
        changes: Changes,
        claiming: Claiming,
        clock: Clock,
        slots_freed: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._board = board
        self._lanes = lanes
        self._changes = changes
        self._claiming = claiming
        self._clock = clock
        self._slots_freed = slots_freed
        self._claimer = Batcher(self._claim, size=CLAIM_SIZE, parallel=2)
        self._acker = Batcher(self._acknowledge, size=2000, parallel=2)
        self._background = Background()

    async def take(self, quotas: Sequence[Quota], budget: int, reservation: Reservation) -> bool:
        """Read the lanes; claims go on in the background. Raises StoreUnavailable if Redis is away."""
        entries = await self._lanes.take(self._consumer, quotas, budget)
        if entries:
            await failpoints.reach("lane-taken")
        left_over = self._offer(entries, reservation)
        if left_over:
            # A session went away while the read was under way.
            self._background.start(self._give_back(left_over))
        return len(entries) == budget

    async def close(self) -> None:
        """Wait for the claims under way."""
        await self._background.close()

    async def reclaim(self, lanes: Sequence[str], idle: float) -> None:
        """Take over what others read from the lanes, that many seconds ago or longer, and never dealt with.

        What fits nowhere goes back. Raises StoreUnavailable if Redis is away.
        """
        budget = passing(self._board.free_sessions())
        if not budget:
            return
        found = by_lane(await self._lanes.reclaim(self._consumer, lanes, int(idle * 1000), budget))
        self._board.learn(found)
        left_over: list[Entry] = []
        for lane, entries in found.items():
            able = self._board.sessions(lane)
            most = passing(able)
            left_over += [*self._offer(entries[:most], Reservation(able)), *entries[most:]]
        await self._give_back(left_over)

    def _offer(self, entries: Sequence[Entry], reservation: Reservation) -> Sequence[Entry]:
        """Reserve slots and start the claims; returns the entries that no session has a slot for."""
        kept = reservation.fill(len(entries))
        offers = [Offer(entry, session) for entry, session in zip(entries, kept, strict=False)]
        if offers:
            self._background.start(self._claiming.settle(reservation, self._claimer.add(offers)))
        return entries[len(offers) :]

    async def _claim(self, offers: list[Offer]) -> list[None]:
        """Claim all of them, in as many statements as their payloads take."""
        rest = offers
        while rest:
            rest = await self._claim_some(rest)
        return [None] * len(offers)

    async def _claim_some(self, offers: list[Offer]) -> list[Offer]:
        """Claim as many as one statement carries; returns those that are left and may still be claimed here."""
        bids = [Bid(offer.entry.task_id, offer.entry.attempt, offer.session.id) for offer in offers]
        sessions = {offer.session.id: offer.session for offer in offers}
        generations = _generations(sessions)
        began = self._clock.monotonic()
        try:
            claimed = await self._changes.claim(bids, generations)
        except StoreUnavailable:
            raise
        except Exception as error:
            await self._apart(offers, error)
            return []
        await self._claiming.send(claimed, sessions, began)
        won = {task.task_id for task in claimed}
        lost = [offer for offer in offers if offer.entry.task_id not in won]
        kept = [offer for offer in offers if offer.entry.task_id in won] if lost else offers
        self._background.start(self._acker.add([offer.entry for offer in kept]))
        if lost and _is_heavy(claimed):
            return self._once_more(lost)
        if lost:
            self._background.start(self._dispose(lost, generations))
            self._slots_freed()
        return []

    def _once_more(self, offers: list[Offer]) -> list[Offer]:
        """Those whose sessions read what they are sent; the others go back, for whoever does."""
        full = [offer.entry for offer in offers if offer.session.full]
        if full:
            self._background.start(self._give_back(full))
        return [offer for offer in offers if not offer.session.full]

    async def _apart(self, offers: list[Offer], error: Exception) -> None:
        """One of them cannot be claimed, and nobody foresaw how: halves find it, and the others are served."""
        if len(offers) == 1:
            _log.error("an entry cannot be claimed", exc_info=error, extra={"task": offers[0].entry.task_id})
            self._background.start(self._acker.add([offers[0].entry]))
            return
        half = len(offers) // 2
        await self._claim(offers[:half])
        await self._claim(offers[half:])

    async def _dispose(self, offers: Sequence[Offer], generations: Mapping[str, int]) -> None:
        """Offers that were not claimed: dead entries are deleted, the others go back for whoever can take them."""
        try:
            waiting = await self._changes.still_queued([(o.entry.task_id, o.entry.attempt) for o in offers])
        except StoreUnavailable as error:
            _log.info("%d entries stay pending: %s", len(offers), error)
            return
        await self._acker.add([offer.entry for offer in offers if offer.entry.task_id not in waiting])
        refused = [offer for offer in offers if offer.entry.task_id in waiting]
        for session in dict.fromkeys(offer.session for offer in refused):
            # Nothing was wrong with the task, so the session's generation is over, be it by our own renewal.
            if session.generation == generations[session.id]:
                session.supersede()
        await self._give_back([offer.entry for offer in refused])

    async def _give_back(self, entries: Sequence[Entry]) -> None:
        try:
            await self._lanes.give_back(entries)
        except StoreUnavailable as error:
            # They stay pending, and are reclaimed.
            _log.info("%d entries are not given back: %s", len(entries), error)

    async def _acknowledge(self, entries: list[Entry]) -> list[None]:
        try:
            await self._lanes.ack(entries)
        except StoreUnavailable as error:
            # They are read again later, and die at their claim.
            _log.debug("unacknowledged: %s", error)
        return [None] * len(entries)


class TableSource:
    """Reads the tables, and claims under the locks of the same transaction."""

    def __init__(self, changes: Changes, claiming: Claiming, clock: Clock) -> None:
        self._changes = changes
        self._claiming = claiming
        self._clock = clock

    async def take(self, quotas: Sequence[Quota], budget: int, reservation: Reservation) -> bool:
        """Read and claim; what others are claiming just now is left out."""
        claimed = await self._claiming.settle(reservation, self._claim(quotas, budget, reservation))
        return claimed is None or len(claimed) == budget or _is_heavy(claimed)

    async def _claim(self, quotas: Sequence[Quota], budget: int, reservation: Reservation) -> list[Claimed]:
        def assign(heads: Sequence[Head]) -> list[Bid]:
            # Again, if the whole transaction is tried again.
            chosen = within(heads, quotas, budget)
            kept = reservation.fill(len(chosen))
            return [Bid(head.task_id, head.attempt, session.id) for head, session in zip(chosen, kept, strict=False)]

        began = self._clock.monotonic()
        # Any lane may have to make up for others that hold less than their quotas.
        most = {quota.lane: budget for quota in quotas}
        claimed = await self._changes.claim_heads(most, _generations(reservation.able), assign)
        await self._claiming.send(claimed, reservation.able, began)
        return claimed


def _generations(sessions: Mapping[str, Session]) -> dict[str, int]:
    return {id: session.generation for id, session in sessions.items()}


def _is_heavy(claimed: Sequence[Claimed]) -> bool:
    """Whether the claim ended because of its payloads, so that more may be there."""
    return sum(len(task.payload or b"") for task in claimed) >= CLAIM_BYTES
