"""Mutants of how attempts end."""

from collections.abc import Callable
from typing import Any

from simulation.memory.postgres import changes
from simulation.memory.postgres.tables import TaskRow
from simulation.mutants.mutant import Mutant, instead
from taskyard_core.domain import retry, transitions
from taskyard_core.domain.transitions import Snapshot, Transition
from taskyard_core.runtime.budget import Budget
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.gateway import reception
from taskyard_dispatcher.outcomes.completion import Completion


def _state_fits(decision: Transition, row: TaskRow) -> bool:
    return row.state in decision.rule.sources


def _session_fits(decision: Transition, row: TaskRow) -> bool:
    return decision.session is None or row.session == decision.session


@instead(changes, "_holds")
def _any_attempt(decision: Transition, row: TaskRow) -> bool:
    return _state_fits(decision, row)


@instead(changes, "_holds")
def _any_state(decision: Transition, row: TaskRow) -> bool:
    return row.attempt == decision.attempt and _session_fits(decision, row)


_moved = changes._moved


@instead(changes, "_moved")
def _cancel_forgotten(row: TaskRow, decision: Transition, now: float) -> TaskRow:
    return _moved(row._replace(cancel_requested=False), decision, now)


@instead(transitions, "_lost")
def _no_crash_budget(task: Snapshot) -> Transition:
    return transitions._again(task, transitions.LOST)


@instead(retry, "exhausted")
def _never_exhausted(*_: Any) -> bool:
    return False


_stopped = transitions._stopped


@instead(transitions, "_stopped")
def _taken_for_released(task: Snapshot, draw: Callable[[], float]) -> Transition:
    if not task.cancel_requested:
        return transitions._again(task, transitions.RELEASED)
    return _stopped(task, draw)


@instead(Budget, "give_back")
def _kept(self: Budget, size: int) -> None:
    return


_report = Completion.report


@instead(Completion, "report")
async def _acknowledged_first(self: Completion, session: Any, reports: Any) -> None:
    session.acknowledge(
        wire.ResultAck(task_id=report.task_id, attempt=report.attempt, verdict=wire.VERDICT_ACCEPTED)
        for report in reports
    )
    await _report(self, session, reports)


MUTANTS = (
    Mutant("no-attempt-check", "a result counts for whichever attempt runs now", [_any_attempt]),
    Mutant("no-state-check", "a result counts although the task has ended", [_any_state]),
    Mutant(
        "cancel-ignored-at-requeue",
        "what was cancelled while it ran waits again",
        [_cancel_forgotten],
    ),
    Mutant("crash-budget-ignored", "a task may kill any number of workers", [_no_crash_budget]),
    Mutant("retry-budget-ignored", "failures are retried for ever", [_never_exhausted]),
    Mutant(
        "unasked-cancel-is-free",
        "a handler that stops though nobody asked for it is given its task for ever",
        [_taken_for_released],
    ),
    Mutant(
        "budget-not-given-back",
        "what was once under way keeps everybody's results waiting",
        # A schedule has few results, and small ones.
        [_kept, (reception, "SESSION_BYTES", 2000)],
    ),
    Mutant("acknowledged-before-commit", "a worker forgets its result before it is stored", [_acknowledged_first]),
)
