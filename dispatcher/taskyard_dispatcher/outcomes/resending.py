"""Tasks that Postgres says a session runs, but that it was never sent: the answer to their claim was lost."""

import logging

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import Sessions
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)


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
            row
            for row in held
            if not row.unread
            and not session.runs(row.task.task_id, row.task.attempt)
            and (row.task.task_id, row.task.attempt) not in ended
        ]
        session.lacks(sum(row.unread for row in held))
        if unknown:
            now = self._clock.monotonic()
            tasks = [Running(row.task, now, row.cancel_requested) for row in unknown]
            self._handover.give(session, tasks, resent=True)
            _log.warning("sent %d tasks again", len(unknown), extra={"session": session.runner.session})
