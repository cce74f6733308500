"""Gives up sessions that nobody answers for any more, neither in etcd nor in the task store.

The fast path is the dispatcher that sees a stream break. This is for those that died together with their dispatcher.
"""

from collections.abc import Collection
from functools import partial

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.registrations import Registrations
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.membership.suspicion import Patience, Suspicion
from taskyard_dispatcher.outcomes.loss import Loss

MOST = 200
"""Sessions given up in one run; the others follow with the next."""
REASON = "registration lost"


class Reaping:
    """Compares live sessions in Postgres with who answers for them, level-triggered."""

    name = "reaping"
    interval = 2.0

    def __init__(
        self,
        *,
        fenced: Fenced,
        sessions: Sessions,
        registrations: Registrations,
        loss: Loss,
        aftermath: Aftermath,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._fenced = fenced
        self._sessions = sessions
        self._registrations = registrations
        self._loss = loss
        self._aftermath = aftermath
        self._clock = clock
        self._patience = patience
        self._suspicion = Suspicion()
        self._steady_since: float | None = None

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        try:
            await self._look(term)
        except StoreUnavailable:
            self._steady_since = None
            raise

    async def _look(self, term: Term) -> None:
        if self._steady_since is None:
            self._steady_since = self._clock.monotonic()
        if not await self._ripe(self._registrations.sessions):
            return
        # The watch may lag behind, and a dispatcher may be back; what is done now cannot be undone.
        for session, generation in (await self._ripe(await self._registrations.listed()))[:MOST]:
            await self._give_up(term, session, generation)

    async def _ripe(self, registered: Collection[str]) -> list[tuple[str, int]]:
        live = await self._sessions.live()
        now = self._clock.monotonic()
        self._suspicion = self._suspicion.after(now, live, registered, self._patience)
        return self._suspicion.ripe(now, self._steady(), self._patience)

    def _steady(self) -> float | None:
        if self._steady_since is None or self._registrations.steady_since is None:
            return None
        return max(self._steady_since, self._registrations.steady_since)

    async def _give_up(self, term: Term, session: str, generation: int) -> None:
        term.require()
        lose = partial(self._loss.lose_within, session=session, generation=generation, reason=REASON)
        applied = await self._fenced.write(term, lose)
        if applied is not None:
            self._aftermath.committed(applied)
