"""What hints and streams may have missed: level-triggered checks of this dispatcher's own sessions."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from taskyard_core.domain.task import AttemptKey, TaskError
from taskyard_core.domain.transitions import Failed, Stopped
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.outcomes.completion import Completion
from taskyard_dispatcher.outcomes.queues import QueueDefaults
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between checks."""
PATIENCE = 0.5
"""Seconds between looks whether one has had them."""


@dataclass(slots=True)
class _Stopping:
    """An attempt that was told to stop, and when that was asked for at the earliest."""

    session: Session
    held: Running
    asked: float


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
        stop_grace: float,
    ) -> None:
        """`stop_grace` is the seconds a handler has to end once it was told to; then its attempt ends without it."""
        self._stop_grace = stop_grace
        self._roster = roster
        self._sessions = sessions
        self._resending = resending
        self._completion = completion
        self._queues = queues
        self._clock = clock
        self._background = Background()
        self._stopping: list[_Stopping] = []
        self._lacking: set[AttemptKey] = set()
        self._looked = clock.monotonic()

    async def run(self) -> None:
        """Check at once, since queues' settings are read here, and then every INTERVAL."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_out())
            group.create_task(self._compare())

    async def _compare(self) -> None:
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
                self._enforce(session, held)

    def cancel(self, task_ids: Iterable[str]) -> None:
        """Pass cancels on to the workers that run the tasks."""
        for session, held in self._roster.holders(task_ids):
            self._stop(session, held, wire.STOP_REASON_CANCELLED, self._clock.monotonic())

    def end_overdue(self) -> None:
        """End the attempts whose handlers were asked to stop and did not, without waiting for it."""
        before = self._clock.monotonic() - self._stop_grace
        held = [stopping for stopping in self._stopping if self._is_held(stopping)]
        self._stopping = [stopping for stopping in held if stopping.asked > before]
        for stopping in held:
            if stopping.asked <= before:
                self._background.start(self._give_up(stopping.session, stopping.held))

    def _is_held(self, stopping: _Stopping) -> bool:
        """Whether it still runs, and here."""
        session, held = stopping.session, stopping.held
        return self._roster.get(session.id) is session and session.running.get(held.task.task_id) is held

    async def _run_out(self) -> None:
        while True:
            await self._clock.sleep(PATIENCE)
            self.end_overdue()

    async def _renounce(self) -> None:
        """A session that was given up, or adopted elsewhere, while its stream is still open here."""
        mine = {session.id: session for session in self._roster if session.connected}
        current = await self._sessions.generations(list(mine))
        for session in mine.values():
            if current.get(session.id, session.generation) != session.generation:
                session.supersede()

    async def _resend(self) -> None:
        """What a claim whose answer was lost left RUNNING, and cancels whose hint was lost.

        Such a cancel was not there yet at the last look, or its attempt was not: its grace counts from then.
        """
        by_id = {session.id: session for session in self._roster if session.connected}
        began = self._clock.monotonic()
        unseen = max(self._looked, began - 2 * INTERVAL)
        lacking: set[AttemptKey] = set()
        lacked: Counter[str] = Counter()
        for ref in await self._sessions.running(list(by_id), 0.0):
            session, attempt = by_id[ref.session], (ref.task_id, ref.attempt)
            if session.runs(*attempt):
                if ref.cancel_requested:
                    held = session.running[ref.task_id]
                    self._stop(session, held, wire.STOP_REASON_CANCELLED, max(unseen, held.since))
                continue
            if attempt in self._lacking and not session.full:
                await self._resending.run_once(session)
            if not session.runs(*attempt):
                # Others were sent first, or its claim may be on its way here. Who lacks it at the next look, lacks it.
                lacking.add(attempt)
                lacked[ref.session] += 1
        for session in by_id.values():
            # The others were on their way here.
            session.lacks(min(session.lacking, lacked[session.id]))
        self._looked, self._lacking = began, lacking

    def _enforce(self, session: Session, held: Running) -> None:
        """The worker ends its own attempts on time; this is for one that does not."""
        timeout, now = held.task.timeout, self._clock.monotonic()
        if timeout is not None and now - held.since > timeout + INTERVAL:
            self._stop(session, held, wire.STOP_REASON_TIMEOUT, now)

    async def _give_up(self, session: Session, held: Running) -> None:
        if held.cancel_requested:
            await self._completion.end(session, held, Stopped())
        else:
            error = TaskError("TIMEOUT", f"ran longer than {held.task.timeout} seconds")
            await self._completion.end(session, held, Failed(error))
        session.stop([frames.stop(held.task.task_id, held.task.attempt, wire.STOP_REASON_LOST)])

    def _stop(self, session: Session, held: Running, reason: wire.StopReason.ValueType, asked: float) -> None:
        if session.interrupt(held, reason):
            self._stopping.append(_Stopping(session, held, asked))
