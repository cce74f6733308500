"""Moving tasks from lanes to sessions: read, assign, claim, send, acknowledge."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from taskyard_core.runtime import failpoints
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed, Claims, Head
from taskyard_core.storage.lanes import Entry, LaneStore
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry import Claim, Telemetry
from taskyard_dispatcher.dispatch.assignment import spread
from taskyard_dispatcher.dispatch.board import Group, LaneBoard
from taskyard_dispatcher.dispatch.planning import plan_reads
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)

READ_SIZE = 500
"""Most entries of one read; more are fetched by the next, while these are being claimed."""
CLAIM_SIZE = 1000
STORE_PAUSE = 0.5
"""Seconds between tries to learn what was claimed while Postgres is away."""


class Offer(NamedTuple):
    """A lane entry reserved for a session."""

    entry: Entry
    session: Session


class Claiming:
    """Fills free slots from the lanes, or straight from Postgres while Redis is away."""

    def __init__(
        self,
        *,
        consumer: str,
        board: LaneBoard,
        lanes: LaneStore,
        claims: Claims,
        handover: Handover,
        resending: Resending,
        telemetry: Telemetry,
        clock: Clock,
        slots_freed: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._board = board
        self._lanes = lanes
        self._claims = claims
        self._handover = handover
        self._resending = resending
        self._telemetry = telemetry
        self._clock = clock
        self._slots_freed = slots_freed
        self._credits: dict[int, float] = {}
        self._turn = 0
        self._claimer = Batcher(self._claim_offers, size=CLAIM_SIZE, parallel=2)
        self._acker = Batcher(self._acknowledge, size=2000, parallel=2)
        self._background = Background()
        self.interrupted = False
        """Postgres did not answer a claim; nothing should be read until it does."""

    async def from_lanes(self) -> bool:
        """One read of every group of lanes that has free slots; False if nothing is left to read.

        Raises StoreUnavailable if Redis is away. Claims go on in the background.
        """
        groups = self._board.groups()
        for group in groups:
            free = sum(session.free for session in group.sessions)
            if free > 0:
                await self._read(group, min(free, READ_SIZE, _carried(group)))
        return bool(groups)

    async def offer(self, entries: Sequence[Entry]) -> None:
        """Assign and claim entries that this dispatcher has read, whichever way; those that fit nowhere go back."""
        by_lane: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_lane[entry.lane].append(entry)
        left_over: list[Entry] = []
        self._board.learn(by_lane)
        for lane, waiting in by_lane.items():
            left_over.extend(self._reserve(waiting, self._board.sessions(lane)))
        await self._give_back(left_over)

    async def from_postgres(self) -> bool:
        """As `from_lanes`, but claims straight from the tables."""
        groups = self._board.groups()
        for group in groups:
            free = sum(session.free for session in group.sessions)
            if free > 0:
                await self._claim_heads(group, min(free, READ_SIZE, _carried(group)))
        return bool(groups)

    async def close(self) -> None:
        """Wait for the claims under way."""
        await self._background.close()

    async def _read(self, group: Group, budget: int) -> None:
        self._turn += 1
        plan = plan_reads(group.lanes, budget, self._credits, self._turn)
        self._credits.update(plan.credits)
        names = [quota.lane for quota in plan.quotas]
        self._board.take(names)
        try:
            entries = await self._lanes.take(self._consumer, plan.quotas, budget)
            if entries:
                await failpoints.reach("lane-taken")
        except StoreUnavailable:
            self._board.learn(names)
            raise
        if len(entries) == budget:
            self._board.learn(names)
        left_over = self._reserve(entries, group.sessions)
        if left_over:
            # A session went away while the read was under way.
            self._background.start(self._give_back(left_over))

    def _reserve(self, entries: Sequence[Entry], sessions: Sequence[Session]) -> Sequence[Entry]:
        """Reserve slots and start the claims; returns the entries that no session has a slot for."""
        if not entries:
            return entries
        by_id = {session.id: session for session in sessions}
        chosen = spread(len(entries), {session.id: session.free for session in sessions})
        offers = [Offer(entry, by_id[session_id]) for entry, session_id in zip(entries, chosen, strict=False)]
        for offer in offers:
            offer.session.reserve()
        self._background.start(self._settle(offers))
        return entries[len(offers) :]

    async def _settle(self, offers: list[Offer]) -> None:
        try:
            await self._claimer.add(offers)
        except StoreUnavailable as error:
            _log.warning("claim of %d tasks is unknown: %s", len(offers), error)
            self.interrupted = True
            await self._find_out(offer.session for offer in offers)
        finally:
            _release(offer.session for offer in offers)

    async def _find_out(self, sessions: Iterable[Session]) -> None:
        """Learn what was claimed after all, before the slots count as free again.

        Entries of what was not claimed stay pending in Redis, and are reclaimed.
        """
        for session in dict.fromkeys(sessions):
            while session.connected:
                try:
                    await self._resending.settle(session)
                except StoreUnavailable:
                    await self._clock.sleep(STORE_PAUSE)
                else:
                    break

    async def _claim_offers(self, offers: list[Offer]) -> list[None]:
        """Claim all of them, in as many statements as their payloads take."""
        rest = offers
        while rest:
            rest = await self._claim_some(rest)
        return [None] * len(offers)

    async def _claim_some(self, offers: list[Offer]) -> list[Offer]:
        """Claim as many as one statement carries; returns those that are left and may still be claimed here."""
        bids = [Bid(offer.entry.task_id, offer.entry.attempt, offer.session.id) for offer in offers]
        generations = {offer.session.id: offer.session.generation for offer in offers}
        began = self._clock.monotonic()
        try:
            claimed = await self._claims.claim(bids, generations)
        except StoreUnavailable:
            raise
        except Exception as error:
            await self._apart(offers, error)
            return []
        await failpoints.reach("claimed")
        self._send(claimed, {offer.session.id: offer.session for offer in offers}, began)
        self._telemetry.committed("claim", len(claimed), self._clock.monotonic() - began)
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
        await self._claim_offers(offers[:half])
        await self._claim_offers(offers[half:])

    def _send(self, claimed: Sequence[Claimed], sessions: dict[str, Session], began: float) -> None:
        now = self._clock.monotonic()
        took = now - began
        claims: list[Claim] = []
        by_session: dict[str, list[Claimed]] = defaultdict(list)
        for task in claimed:
            by_session[task.session].append(task)
        for session_id, tasks in by_session.items():
            session = sessions[session_id]
            self._handover.give(session, [Running(task, now) for task in tasks])
            claims += [Claim(t.task_id, t.attempt, t.lane, session.runner, t.waited, t.traceparent) for t in tasks]
        self._telemetry.claimed(claims, took)

    async def _dispose(self, offers: Sequence[Offer], generations: Mapping[str, int]) -> None:
        """Offers that were not claimed: dead entries are deleted, the others go back for whoever can take them."""
        try:
            waiting = await self._claims.still_queued([(o.entry.task_id, o.entry.attempt) for o in offers])
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

    async def _claim_heads(self, group: Group, budget: int) -> None:
        self._turn += 1
        plan = plan_reads(group.lanes, budget, self._credits, self._turn)
        names = [quota.lane for quota in plan.quotas]
        self._board.take(names)
        reserved: list[Session] = []
        generations = {session.id: session.generation for session in group.sessions}
        by_id = {session.id: session for session in group.sessions}

        def assign(heads: Sequence[Head]) -> list[Bid]:
            # Again, if the whole transaction is tried again.
            _release(reserved)
            reserved.clear()
            chosen = spread(len(heads), {session.id: session.free for session in group.sessions})
            for session_id in chosen:
                by_id[session_id].reserve()
                reserved.append(by_id[session_id])
            return [
                Bid(head.task_id, head.attempt, session_id) for head, session_id in zip(heads, chosen, strict=False)
            ]

        began = self._clock.monotonic()
        try:
            quotas = {quota.lane: budget for quota in plan.quotas}
            claimed = await self._claims.claim_heads(quotas, generations, assign)
            if claimed:
                await failpoints.reach("claimed")
            self._send(claimed, by_id, began)
        except StoreUnavailable:
            self._board.learn(names)
            await self._find_out(reserved)
            raise
        finally:
            _release(reserved)
        if len(claimed) == budget or _is_heavy(claimed):
            self._board.learn(names)


def _is_heavy(claimed: Sequence[Claimed]) -> bool:
    """Whether the claim ended because of its payloads, so that more may be there."""
    return sum(len(task.payload or b"") for task in claimed) >= CLAIM_BYTES


def _carried(group: Group) -> int:
    """How many tasks may be on their way to the group's sessions, by how large their last ones were."""
    return sum(session.carries for session in group.sessions)


def _release(reserved: Iterable[Session]) -> None:
    for session in reserved:
        session.release()
