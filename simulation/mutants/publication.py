"""Mutants of the way from a commit to the lanes, and of what brings lost entries back."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from simulation.chance import EPOCH
from simulation.memory.postgres import submissions
from simulation.memory.postgres.work import Work
from simulation.memory.redis.streams import Streams
from simulation.mutants.mutant import Mutant, instead
from taskyard_core.aftermath.publication import Publication, _Batch
from taskyard_core.storage.submissions import Conflict, NewTask, Submitted
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties.audit import Audit
from taskyard_dispatcher.duties.outbox import OutboxDuty
from taskyard_dispatcher.duties.rebuild import Rebuild
from taskyard_scheduler.intake import Intake, Stored

_TIME = datetime.fromtimestamp(EPOCH, UTC)


async def _nothing(self: Any, term: Any) -> None:
    return


_read = Streams._read


@instead(Streams, "_read")
def _from_now_on(self: Streams, lane: str, *rest: Any) -> bool:
    grouped: set[str] = self.__dict__.setdefault("grouped", set())
    if lane in self.lanes and lane not in grouped:
        grouped.add(lane)
        self.lanes[lane].fresh.clear()
    return _read(self, lane, *rest)


@instead(Publication, "publish")
async def _forgotten_first(self: Publication, outbox_id: int, entries: Any) -> None:
    with suppress(StoreUnavailable):
        await self._forget.add([outbox_id])
        await self._publish.add([_Batch(outbox_id, entries)])


_accepted = submissions._accepted


@instead(submissions, "_accepted")
def _conflict_ignored(work: Work, new: NewTask) -> Submitted | Conflict:
    outcome = _accepted(work, new)
    return Submitted(outcome.first_task_id, _TIME, deduplicated=True) if isinstance(outcome, Conflict) else outcome


@instead(NewTask, "repeats")
def _written_compared(self: NewTask, hash: bytes | None, written: bytes) -> bool:
    return self.written == written


@instead(submissions, "_accepted")
def _keys_ignored(work: Work, new: NewTask) -> Submitted | Conflict:
    return Submitted(new.id, _TIME)


_store = Intake._store


@instead(Intake, "_store")
async def _accepted_unstored(self: Intake, specs: list[Any]) -> Sequence[Stored]:
    try:
        return await _store(self, specs)
    except StoreUnavailable:
        return [Submitted(f"00000000-0000-7000-8000-{n:012}", _TIME) for n, _ in enumerate(specs)]


MUTANTS = (
    Mutant("no-outbox-sweep", "nobody publishes what its submitter left behind", [(OutboxDuty, "run_once", _nothing)]),
    Mutant("group-at-dollar", "what is published before a lane's first reader is never read", [_from_now_on]),
    Mutant(
        "no-rebuild",
        "nobody fills the lanes again after Redis lost them",
        [(Rebuild, "run_once", _nothing), (Audit, "run_once", _nothing)],
    ),
    Mutant("outbox-forgotten-first", "an outbox row goes before its entries are in the lanes", [_forgotten_first]),
    Mutant("idempotency-conflict-ignored", "another request under a key is taken for the first", [_conflict_ignored]),
    Mutant("idempotency-by-bytes", "a request that is written differently is taken for another", [_written_compared]),
    Mutant("idempotency-keys-ignored", "each request under a key becomes a task", [_keys_ignored]),
    Mutant("accepted-unstored", "a submit is acknowledged although Postgres did not answer", [_accepted_unstored]),
)
