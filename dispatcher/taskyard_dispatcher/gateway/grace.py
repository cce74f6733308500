"""The grace of a worker whose stream has ended: it may say hello again, here or elsewhere, before it is given up."""

import logging
from collections.abc import Awaitable, Callable

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.gateway.presence import Presence
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Phase, Session
from taskyard_dispatcher.timing import GatewayTiming

_log = logging.getLogger(__name__)

BROKEN = "stream broken"


class Grace:
    """Gives sessions up whose worker said goodbye, or did not come back in time."""

    def __init__(
        self,
        roster: Roster,
        loss: Loss,
        presence: Presence,
        clock: Clock,
        *,
        grace: float,
        patience: float,
        timing: GatewayTiming = GatewayTiming(),
    ) -> None:
        """`grace` and `patience` are seconds: for a stream that broke, and for a worker that was asked to leave."""
        self._roster = roster
        self._loss = loss
        self._presence = presence
        self._clock = clock
        self._grace = grace
        self._patience = max(grace, patience)
        self._store_pause = timing.store_pause
        self._background = Background()

    def begin(self, session: Session, settled: Callable[[], Awaitable[None]]) -> None:
        """The session's stream has ended; `settled` waits until what it brought is stored."""
        self._background.start(self._part(session, settled))

    async def close(self) -> None:
        """Forget the sessions that are in their grace; the leader gives them up if nobody adopts them."""
        await self._background.cancel()

    async def _part(self, session: Session, settled: Callable[[], Awaitable[None]]) -> None:
        said_goodbye = session.phase is Phase.LEFT
        if not said_goodbye:
            # Whoever was asked to leave is not in doubt, and may have to try one that does not answer first.
            await self._clock.sleep(self._patience if session.sent_on else self._grace)
            # An attempt that has ended did not crash.
            await settled()
        if self._roster.get(session.id) is not session:
            return
        self._roster.remove(session)
        self._presence.left(session)
        while not await self._given_up(session, "goodbye" if said_goodbye else BROKEN):
            await self._until_postgres_answers()
            # Meanwhile nobody could welcome the worker: its grace begins anew.
            await self._clock.sleep(self._grace)

    async def _until_postgres_answers(self) -> None:
        while not await self._loss.possible():
            await self._clock.sleep(self._store_pause)

    async def _given_up(self, session: Session, reason: str) -> bool:
        try:
            await self._loss.lose(session.id, session.generation, reason)
        except StoreUnavailable as error:
            _log.warning("session cannot be given up yet: %s", error, extra={"session": session.runner.session})
            return False
        return True
