"""Tasks that Postgres says a session runs, but that it was never sent: the answer to their claim was lost."""

import logging
from collections.abc import Sequence

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import Held, Sessions
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)


def read_tasks(session: Session, held: Sequence[Held], now: float) -> list[Running]:
    """The tasks of a session's rows whose payloads were read; that it lacks the others is noted."""
    session.lacks(sum(row.unread for row in held))
    return [Running(row.task, now, row.cancel_requested) for row in held if not row.unread]


class Resending:
    """Brings sessions up to date with Postgres."""

    def __init__(self, sessions: Sessions, handover: Handover, clock: Clock) -> None:
        self._sessions = sessions
        self._handover = handover
        self._clock = clock

    async def settle(self, session: Session) -> None:
        """After a claim whose outcome is unknown: see to it that none comes later, and send what was claimed after all.

        Raises StoreUnavailable.
        """
        generation = await self._sessions.renew(session.id, session.generation)
        if generation is None:
            session.supersede()
            return
        session.renewed(generation)
        await self.run_once(session)

    async def run_once(self, session: Session) -> None:
        """Send what the session lacks, as far as it comes to one claim; raises StoreUnavailable."""
        known = [(task_id, held.task.attempt) for task_id, held in session.running.items()]
        with session.ended_meanwhile() as ended:
            held = await self._sessions.held(session.id, known)
        # A task that ended while the rows were read is not lacking: it would hold its slot for ever.
        unknown = [
            running
            for running in read_tasks(session, held, self._clock.monotonic())
            if not session.runs(*running.attempt) and running.attempt not in ended
        ]
        if unknown:
            self._handover.give(session, unknown, resent=True)
            _log.warning("sent %d tasks again", len(unknown), extra={"session": session.runner.session})
