"""What happens when a stream ends: the worker has a grace to come back, here or elsewhere."""

import asyncio
import logging

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.gateway.presence import Presence
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.sessions.roster import Roster, Session

_log = logging.getLogger(__name__)

BROKEN = "stream broken"
STORE_PAUSE = 1.0
"""Seconds between looks whether Postgres is back."""


class Departure:
    """Gives sessions up whose worker said goodbye, or did not come back within the grace."""

    def __init__(
        self, roster: Roster, loss: Loss, presence: Presence, clock: Clock, *, grace: float, patience: float
    ) -> None:
        """`grace` and `patience` are seconds: for a stream that broke, and for a worker that was asked to leave."""
        self._roster = roster
        self._loss = loss
        self._presence = presence
        self._clock = clock
        self._grace = grace
        self._patience = max(grace, patience)
        self._background = Background()
        self._stopping = False

    def replaced(self, former: Session | None) -> None:
        """The worker said hello again; its former stream gets nothing more."""
        if former is not None:
            # Two hellos may be answered in the other order than they were sent. Should the worker be on the former
            # stream, it is told to leave: else it would wait there for ever, for tasks that nobody sends.
            former.supersede()

    def adopted_elsewhere(self, session_id: str) -> None:
        """Another dispatcher has the session now. As with `replaced`, the worker may nevertheless be here."""
        session = self._roster.get(session_id)
        if session is not None:
            session.supersede()
            self._roster.remove(session)

    def stream_ended(self, session: Session) -> None:
        """No more frames come from this stream."""
        session.connected = False
        self._roster.changed()
        if self._roster.get(session.id) is session and not self._stopping:
            self._background.start(self._part(session))

    def stop(self) -> None:
        """This dispatcher shuts down: streams end because it says so, and the sessions live on elsewhere."""
        self._stopping = True

    async def close(self) -> None:
        """Forget the sessions that are in their grace; the leader gives them up if nobody adopts them."""
        await self._background.cancel()

    async def _part(self, session: Session) -> None:
        if not session.said_goodbye:
            # Whoever was asked to leave is not in doubt, and may have to try one that does not answer first.
            await self._clock.sleep(self._patience if session.sent_on else self._grace)
            if session.reporting:
                # What it reported before is being stored: an attempt that has ended did not crash.
                await asyncio.wait(session.reporting)
        if self._roster.get(session.id) is not session:
            return
        self._roster.remove(session)
        self._presence.left(session)
        reason = "goodbye" if session.said_goodbye else BROKEN
        while not await self._given_up(session, reason):
            await self._until_postgres_answers()
            # Meanwhile nobody could welcome the worker: its grace begins anew.
            await self._clock.sleep(self._grace)

    async def _until_postgres_answers(self) -> None:
        while not await self._loss.possible():
            await self._clock.sleep(STORE_PAUSE)

    async def _given_up(self, session: Session, reason: str) -> bool:
        try:
            await self._loss.lose(session.id, session.generation, reason)
        except StoreUnavailable as error:
            _log.warning("session cannot be given up yet: %s", error, extra={"session": session.runner.session})
            return False
        return True
