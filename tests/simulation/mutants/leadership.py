"""Mutants of the leader's fence and duties."""

from dispatcher.duties.reaping import Reaping
from dispatcher.leadership import Term
from scheduler.domain.task import TaskState
from scheduler.storage.memory.postgres import leader, waiting
from scheduler.storage.memory.postgres.tables import ONLY, LeaderRow, TaskRow
from scheduler.storage.memory.postgres.work import Work
from tests.simulation.mutants.mutant import Mutant, instead


@instead(leader, "_hold")
def _any_term(work: Work, term: int) -> None:
    work.term = term


@instead(leader, "_begin")
def _term_set_back(work: Work, term: int, dispatcher: str) -> None:
    row = work.get(work.tables.leader, ONLY) or LeaderRow()
    work.put(work.tables.leader, ONLY, row._replace(term=term, dispatcher=dispatcher))


@instead(waiting, "_due")
def _always_due(work: Work) -> list[TaskRow]:
    return [row for row in work.tasks(TaskState.SCHEDULED) if row.run_at <= work.time + 1.0]


@instead(Reaping, "run_once")
async def _nobody_reaped(self: Reaping, term: Term) -> None:
    return


MUTANTS = (
    Mutant("no-term-fence", "a leader whose term is over goes on writing", [_any_term]),
    Mutant("term-set-back", "an older leader may take over from a newer one", [_term_set_back, _any_term]),
    Mutant("promoted-early", "tasks may run before their time", [_always_due]),
    Mutant("no-reaping", "sessions that died with their dispatcher are kept", [_nobody_reaped]),
)
