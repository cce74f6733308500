"""Mutants of the way from lanes to sessions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulation.memory.postgres import claims
from simulation.memory.postgres.tables import TaskRow
from simulation.memory.postgres.work import Work
from simulation.mutants.mutant import Mutant, instead
from taskyard_core.domain import lane_index
from taskyard_core.domain.lane_index import Token
from taskyard_core.domain.selectors import Term
from taskyard_core.domain.task import TaskError
from taskyard_core.domain.transitions import Failed
from taskyard_core.domain.violations import Violation
from taskyard_core.storage.claims import Bid, Claimed
from taskyard_dispatcher.dispatch.pipeline import Claiming
from taskyard_dispatcher.dispatch.sources import LaneSource, Offer
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.state import Running, Session


@instead(claims, "_lock_live")
def _any_generation(work: Work, sessions: Sequence[str], generations: Mapping[str, int]) -> set[str]:
    rows = [work.get(work.tables.sessions, id) for id in sessions]
    return {row.id for row in rows if row is not None and row.live}


@instead(claims, "_lock_live")
def _dead_or_alive(work: Work, sessions: Sequence[str], generations: Mapping[str, int]) -> set[str]:
    return set(sessions)


_claim = claims.claim_within


@instead(claims, "claim_within")
def _same_attempt(work: Work, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
    won = _claim(work, bids, generations)
    for task in won:
        row = work.get(work.tables.tasks, task.task_id)
        assert row is not None
        if row.attempt > 1:
            work.put(work.tables.tasks, row.id, row._replace(attempt=row.attempt - 1))
    return [task._replace(attempt=max(1, task.attempt - 1)) for task in won]


@instead(claims, "ready")
def _any_entry(work: Work, task_id: str, attempt: int) -> TaskRow | None:
    row = work.get(work.tables.tasks, task_id)
    return row if row is not None and not row.state.terminal else None


@instead(claims, "_may_run")
def _may_always_run(row: TaskRow, now: float) -> bool:
    return True


_offered = LaneSource._claim


@instead(LaneSource, "_claim")
async def _acknowledged_first(self: LaneSource, offers: list[Offer]) -> list[None]:
    await self._acker.add([offer.entry for offer in offers])
    return await _offered(self, offers)


@instead(LaneSource, "_dispose")
async def _disposed_unseen(self: LaneSource, offers: Sequence[Offer], _: object) -> None:
    await self._acker.add([offer.entry for offer in offers])


def _free(self: Session) -> int:
    return self.slots - len(self.running) if self.accepting else 0


@instead(Claiming, "_find_out")
async def _unknown_claims_forgotten(self: Claiming, sessions: Any) -> None:
    return


@instead(lane_index, "_wanted")
def _wants_nothing(term: Term) -> tuple[Token, ...]:
    return ()


@instead(lane_index, "_fits")
def _fits_all(terms: Iterable[Term], labels: Mapping[str, str]) -> bool:
    return True


@instead(Handover, "_refuse")
def _held_unsent(self: Handover, session: Session, held: Running, violation: Violation) -> None:
    session.assign([held], [])


@instead(Handover, "_refuse")
def _ended_beside_slots(self: Handover, session: Session, held: Running, violation: Violation) -> None:
    error = TaskError("INVALID_TASK", str(violation), retryable=False)
    self._background.start(self._completion.end(session, held, Failed(error)))


@instead(Handover, "give")
def _all_or_none(self: Handover, session: Session, tasks: Sequence[Running], *, resent: bool = False) -> None:
    session.assign(tasks, [frames.assignment(held.task, resent=resent) for held in tasks])


MUTANTS = (
    Mutant("no-generation-check", "a dispatcher claims for sessions that were adopted elsewhere", [_any_generation]),
    Mutant("no-session-check-at-claim", "tasks are claimed for sessions that were given up", [_dead_or_alive]),
    Mutant("attempt-not-raised", "a second claim has the number of the first", [_same_attempt]),
    Mutant("state-not-checked-at-claim", "an entry of a task that runs claims it once more", [_any_entry]),
    Mutant("expiry-ignored", "tasks start although they were cancelled or have expired", [_may_always_run]),
    Mutant("ack-before-claim", "an entry is gone before its task is claimed", [_acknowledged_first]),
    Mutant("unclaimed-not-given-back", "an entry that was not claimed is deleted unseen", [_disposed_unseen]),
    Mutant(
        "reservations-ignored",
        "slots count as free while claims for them are under way",
        [(Session, "free", property(_free))],
    ),
    Mutant("unknown-claims-forgotten", "a claim without an answer is taken for none", [_unknown_claims_forgotten]),
    Mutant("unsendable-held", "a task that cannot be sent keeps its slot for ever", [_held_unsent]),
    Mutant(
        "unsendable-beside-slots",
        "a task that cannot be sent takes no slot while its end is being stored",
        [_ended_beside_slots],
    ),
    Mutant(
        "unsendable-keeps-neighbours",
        "a task that cannot be sent keeps those that were claimed with it",
        [_all_or_none],
    ),
    Mutant("labels-ignored", "a task goes to whoever has a free slot", [_wants_nothing, _fits_all]),
)
