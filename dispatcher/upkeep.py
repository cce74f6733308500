"""What hints and streams may have missed: level-triggered checks of this dispatcher's own sessions."""

import logging
from collections.abc import Iterable

from dispatcher import frames
from dispatcher.completion import Completion
from dispatcher.queues import QueueDefaults
from dispatcher.resending import Resending
from dispatcher.sessions import Roster, Running, Session
from scheduler.clock import Clock
from scheduler.domain.task import TaskError
from scheduler.domain.transitions import Failed, Stopped
from scheduler.storage.sessions import Sessions
from scheduler.storage.unavailable import StoreUnavailable
from scheduler.wire.gen import worker_service_pb2 as wire

_log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between checks."""
STOP_GRACE = 30.0
"""Seconds that a handler has to end after it was told to stop; then its attempt is ended without it."""


class Upkeep:
    """Sends what a session runs but was never sent, passes cancels on, and ends attempts that overran."""

    def __init__(
        self,
        *,
        roster: Roster,
        sessions: Sessions,
        resending: Resending,
        completion: Completion,
        queues: QueueDefaults,
        clock: Clock,
    ) -> None:
        self._roster = roster
        self._sessions = sessions
        self._resending = resending
        self._completion = completion
        self._queues = queues
        self._clock = clock

    async def run(self) -> None:
        """Check at once, since queues' settings are read here, and then every INTERVAL."""
        while True:
            try:
                await self.run_once()
            except StoreUnavailable as error:
                _log.warning("upkeep waits: %s", error)
            await self._clock.sleep(INTERVAL)

    async def run_once(self) -> None:
        """Compare once; raises StoreUnavailable."""
        await self._queues.refresh()
        await self._renounce()
        await self._resend()
        for session in self._roster:
            for held in list(session.running.values()):
                await self._enforce(session, held)

    def cancel(self, task_ids: Iterable[str]) -> None:
        """Pass cancels on to the workers that run the tasks."""
        for session, held in self._roster.holders(task_ids):
            self._stop(session, held, wire.STOP_REASON_CANCELLED)

    async def _renounce(self) -> None:
        """A session that was given up, or adopted elsewhere, while its stream is still open here."""
        mine = {session.id: session for session in self._roster if session.connected}
        current = await self._sessions.generations(list(mine))
        for session in mine.values():
            if current.get(session.id, session.generation) != session.generation:
                session.supersede()
                self._roster.changed()

    async def _resend(self) -> None:
        """What a claim whose answer was lost left RUNNING, and cancels whose hint was lost."""
        by_id = {session.id: session for session in self._roster if session.connected}
        for ref in await self._sessions.running(list(by_id), INTERVAL):
            session = by_id[ref.session]
            if not session.runs(ref.task_id, ref.attempt):
                await self._resending.run_once(session)
            elif ref.cancel_requested:
                self._stop(session, session.running[ref.task_id], wire.STOP_REASON_CANCELLED)

    async def _enforce(self, session: Session, held: Running) -> None:
        now = self._clock.monotonic()
        timeout = held.task.timeout
        if held.stop_sent_at is not None:
            if now - held.stop_sent_at > STOP_GRACE:
                await self._give_up(session, held)
        elif timeout is not None and now - held.since > timeout + INTERVAL:
            # The worker ends its own attempts on time; this one does not.
            self._stop(session, held, wire.STOP_REASON_TIMEOUT)

    async def _give_up(self, session: Session, held: Running) -> None:
        if held.cancel_requested:
            await self._completion.end(session, held, Stopped())
        else:
            error = TaskError("TIMEOUT", f"ran longer than {held.task.timeout} seconds")
            await self._completion.end(session, held, Failed(error))
        session.stop([frames.stop(held.task.task_id, held.task.attempt, wire.STOP_REASON_LOST)])

    def _stop(self, session: Session, held: Running, reason: wire.StopReason.ValueType) -> None:
        held.cancel_requested |= reason == wire.STOP_REASON_CANCELLED
        if held.stop_sent_at is None:
            held.stop_sent_at = self._clock.monotonic()
            session.stop([frames.stop(held.task.task_id, held.task.attempt, reason)])
