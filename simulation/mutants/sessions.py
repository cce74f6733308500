"""Mutants of sessions: adoption, loss, and the end of streams."""

import asyncio
from collections.abc import Iterable
from typing import Any

from simulation.memory.postgres import sessions
from simulation.memory.postgres.tables import SessionRow
from simulation.memory.postgres.work import Work
from simulation.mutants.mutant import Mutant, instead
from taskyard_core.domain.task import AttemptKey
from taskyard_core.storage.sessions import SessionRecord
from taskyard_dispatcher.gateway import adoption
from taskyard_dispatcher.gateway.stream import SessionStreams
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.upkeep import Upkeep
from taskyard_dispatcher.sessions.state import Running, Session


@instead(sessions, "_hello")
def _same_generation(work: Work, record: SessionRecord) -> int:
    former = work.get(work.tables.sessions, record.id)
    generation = former.generation if former else 1
    row = SessionRow(record.id, generation, True, record, record.draining, work.time)
    work.put(work.tables.sessions, record.id, row)
    return generation


@instead(adoption, "reconcile")
def _nothing_resent(session: Session, held: Iterable[Running], known: set[AttemptKey], handover: Handover) -> None:
    session.assign(held, [])


@instead(adoption, "reconcile")
def _nothing_held(session: Session, held: Iterable[Running], known: set[AttemptKey], handover: Handover) -> None:
    return


@instead(Upkeep, "_resend")
async def _upkeep_without_resending(self: Upkeep) -> None:
    return


@instead(sessions, "end_within")
def _requeued_alive(work: Work, session: str, generation: int, reason: str) -> bool:
    row = work.get(work.tables.sessions, session)
    return row is not None and row.live


@instead(SessionStreams, "Session")
async def _end_noted_last(self: SessionStreams, request_iterator: Any, context: Any) -> None:
    session = await self._open(request_iterator, context)
    inbox = self._reception.open(session)
    parts = (
        asyncio.create_task(self._write(session, context)),
        asyncio.create_task(self._read(session, inbox, request_iterator)),
        asyncio.create_task(self._watch(session)),
    )
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        session.stream_ended()
        if not self._stopping:
            self._grace.begin(session, inbox.settled)


def _told_nothing(self: Session) -> None:
    self._outgoing.go_away = True
    self._tell_writer()


MUTANTS = (
    Mutant("generation-not-raised", "two dispatchers may both claim for a session", [_same_generation]),
    Mutant("no-resend-at-adoption", "what a worker was never sent stays with it for ever", [_nothing_resent]),
    Mutant(
        "running-forgotten-at-adoption",
        "a dispatcher does not know what its sessions run",
        [_nothing_held, _upkeep_without_resending],
    ),
    Mutant("requeued-while-alive", "tasks of a session are queued again although it lives", [_requeued_alive]),
    Mutant("end-of-stream-noted-last", "a call that is cancelled twice leaves its session for ever", [_end_noted_last]),
    Mutant(
        "sent-on-like-broken",
        "who was sent on has no longer to arrive than whoever broke off",
        [(Session, "go_away", _told_nothing)],
    ),
)
