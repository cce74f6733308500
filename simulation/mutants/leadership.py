"""Mutants of the leader's fence and duties."""

from typing import Any

from simulation.memory.etcd import EtcdServer
from simulation.memory.postgres import leader, waiting
from simulation.memory.postgres.tables import ONLY, LeaderRow, TaskRow
from simulation.memory.postgres.work import Work
from simulation.mutants.mutant import Mutant, instead
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.etcd import PrefixWatch
from taskyard_core.storage.sessions import LiveSession
from taskyard_dispatcher.duties.reaping import Reaping
from taskyard_dispatcher.duties.rota import Rota
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.membership import suspicion, vouching
from taskyard_dispatcher.membership.vouching import Vouching


@instead(leader, "_hold")
def _any_term(work: Work, term: int) -> None:
    work.term = term


@instead(leader, "_begin")
def _term_set_back(work: Work, term: int, dispatcher: str) -> None:
    row = work.get(work.tables.leader, ONLY) or LeaderRow()
    work.put(work.tables.leader, ONLY, row._replace(term=term, dispatcher=dispatcher))


@instead(waiting, "due")
def _always_due(work: Work) -> list[TaskRow]:
    return [row for row in work.tasks(TaskState.SCHEDULED) if row.run_at <= work.time + 1.0]


@instead(Reaping, "run_once")
async def _nobody_reaped(self: Reaping, term: Term) -> None:
    return


@instead(Rota, "_number")
async def _revision(self: Rota, term: Term) -> int:
    return term.revision


_watch = EtcdServer.watch


@instead(EtcdServer, "watch")
def _waits_for_the_past(self: EtcdServer, client: object, prefix: str, start: int, pipe: Any) -> None:
    # As etcd does, which tells nothing until its revisions have come that far once more.
    _watch(self, client, prefix, min(start, self.revision + 1), pipe)


@instead(PrefixWatch, "_open")
async def _goes_on_where_it_was(self: PrefixWatch, now: float) -> None:
    self._stream = await self._access.watch(self.prefix, start=self.revision + 1)


@instead(suspicion, "_vouched")
def _etcd_alone(session: LiveSession, patience: suspicion.Patience) -> bool:
    return False


@instead(Vouching, "_give_up_strays")
async def _answers_for_all(self: Vouching) -> None:
    return


@instead(Vouching, "_give_up_strays")
async def _impatient(self: Vouching) -> None:
    for session in self._roster:
        if not session.connected:
            await self._loss.lose(session.id, session.generation, vouching.REASON)


_UNNOTICED = [_waits_for_the_past, _goes_on_where_it_was]

MUTANTS = (
    Mutant("no-term-fence", "a leader whose term is over goes on writing", [_any_term]),
    Mutant("term-set-back", "an older leader may take over from a newer one", [_term_set_back, _any_term]),
    Mutant("promoted-early", "tasks may run before their time", [_always_due]),
    Mutant("revisions-are-terms", "no term begins after etcd was replaced", [_revision]),
    Mutant("went-back-unnoticed", "who leads is not seen after etcd was replaced", _UNNOTICED),
    Mutant("etcd-alone-tells", "who is not in etcd is given up whatever its dispatcher says", [_etcd_alone]),
    Mutant("answers-for-strays", "a dispatcher answers for sessions that it does not hold", [_answers_for_all]),
    Mutant("no-grace-while-vouching", "a session is given up while its worker may still come back", [_impatient]),
    Mutant("no-reaping", "sessions that died with their dispatcher are kept", [_nobody_reaped]),
)
