"""The one way of a task to a worker, whichever store it is read from.

Board (lanes, and the sessions that serve them) -> gates (how many may pass) -> plan (of which lane) -> source (reads
tasks) -> reservation (whose slots) -> claim -> send -> settled: slots are kept until it is known what was claimed.
"""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from taskyard_core.runtime import failpoints
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.claims import Claimed
from taskyard_core.storage.lanes import Quota
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.records import Claim
from taskyard_dispatcher.dispatch.assignment import Reservation
from taskyard_dispatcher.dispatch.board import Group, LaneBoard
from taskyard_dispatcher.dispatch.gates import passing
from taskyard_dispatcher.dispatch.outages import Outages
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)

STORE_PAUSE = 0.5
"""Seconds between tries to learn what was claimed while Postgres is away."""

Result = TypeVar("Result")


class Source(Protocol):
    """Where tasks are read that wait to be claimed."""

    async def take(self, quotas: Sequence[Quota], budget: int, reservation: Reservation) -> bool:
        """Read up to `budget` tasks of the lanes and have them claimed; whether there may be more of them.

        The claim may go on in the background. Raises StoreUnavailable where nothing could be read.
        """


async def fill(board: LaneBoard, source: Source, outages: Outages) -> bool:
    """One read for every group of lanes that has free slots; False if nothing is left to read, or cannot be claimed.

    Raises StoreUnavailable if the source is away.
    """
    groups = board.groups()
    for group in groups:
        # Claims fail in the background, too, and each failure frees slots to read for.
        if outages.postgres:
            return False
        budget = passing(group.sessions)
        if budget > 0:
            await _read(board, source, group, budget)
    return bool(groups)


async def _read(board: LaneBoard, source: Source, group: Group, budget: int) -> None:
    quotas = group.credits.plan(group.lanes, budget)
    names = [quota.lane for quota in quotas]
    board.take(names)
    board.end_turns(quota.lane for quota in quotas if quota.count)
    more = True
    try:
        more = await source.take(quotas, budget, Reservation(group.sessions))
    finally:
        if more:
            board.learn(names)


class Claiming:
    """What follows the claims of any source: what they won is sent, and what nobody told is found out."""

    def __init__(
        self, *, handover: Handover, resending: Resending, telemetry: Telemetry, clock: Clock, outages: Outages
    ) -> None:
        self._handover = handover
        self._resending = resending
        self._telemetry = telemetry
        self._clock = clock
        self._outages = outages

    async def settle(self, reservation: Reservation, claim: Awaitable[Result]) -> Result | None:
        """Wait for a claim, and keep its slots until it is known what was claimed; None if that had to be looked up."""
        try:
            return await claim
        except StoreUnavailable as error:
            _log.warning("claim of %d tasks is unknown: %s", len(reservation.sessions), error)
            self._outages.began(error)
            await self._find_out(reservation.sessions)
            return None
        finally:
            reservation.release()

    async def send(self, claimed: Sequence[Claimed], sessions: Mapping[str, Session], began: float) -> None:
        """Send what was claimed for the sessions by a statement that began then."""
        if not claimed:
            return
        await failpoints.reach("claimed")
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
        self._telemetry.committed("claim", len(claimed), took)

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
