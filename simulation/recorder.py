"""From what the task store in memory committed to the vocabulary of histories, as triggers do it in Postgres."""

from functools import lru_cache

import orjson

from chaos.history.events import Placement, SessionChange, TermRaised, Transition, digest
from chaos.history.record import History
from simulation.chance import EPOCH
from simulation.memory.postgres.server import Change
from simulation.memory.postgres.tables import LeaderRow, SessionRow, TaskRow
from taskyard_core.storage.codec import load_retry
from taskyard_scheduler.meaning import canonical

_digest = lru_cache(maxsize=4096)(digest)


class Recorder:
    """An observer of the task store that fills a history."""

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, change: Change) -> None:
        """See simulation.memory.postgres.server.Observer."""
        row = change.new if change.new is not None else change.old
        if type(row) is TaskRow:
            self._task(change, row)
        elif type(row) is SessionRow:
            if change.new is not None:
                self._session(change, change.new)
        elif type(row) is LeaderRow and change.old is not None and change.old.term != change.new.term:
            self._history.terms.append(TermRaised(change.seq, change.at - EPOCH, row.term, row.dispatcher))

    def _task(self, change: Change, row: TaskRow) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and _audited(old) == _audited(new):
            return
        inserted = old is None
        self._history.transitions.append(
            Transition(
                seq=change.seq,
                at=change.at - EPOCH,
                transaction=change.transaction,
                task=row.id,
                old=None if old is None else old.state.value,
                new=None if new is None else new.state.value,
                attempt=row.attempt,
                failures=row.failures,
                crashes=row.crashes,
                session=row.session,
                cancel_requested=row.cancel_requested,
                due=row.run_at - EPOCH,
                expires=None if row.expires_at is None else row.expires_at - EPOCH,
                term=change.term,
                application=change.application,
                result=_digest(row.result) if row.result is not None else None,
                reason=orjson.loads(row.error)["type"] if row.error else None,
                placement=_placement(row.namespace, row.queue, row.type, row.selector, row.priority)
                if inserted
                else None,
                key=row.idempotency_key if inserted else None,
                request=_digest(canonical(row.payload)) if inserted else None,
                max_attempts=policy.max_attempts if inserted and (policy := load_retry(row.retry)) else None,
            )
        )

    def _session(self, change: Change, row: SessionRow) -> None:
        record = row.record
        self._history.sessions.append(
            SessionChange(
                seq=change.seq,
                at=change.at - EPOCH,
                transaction=change.transaction,
                session=row.id,
                namespace=record.namespace,
                generation=row.generation,
                live=row.live,
                slots=record.slots,
                types=tuple(record.types),
                queues=tuple(record.queues),
                labels=record.labels,
                worker=record.worker,
                dispatcher=record.dispatcher,
                draining=row.draining,
                reason=row.end_reason,
            )
        )


_placement = lru_cache(maxsize=4096)(Placement)


def _audited(row: TaskRow) -> tuple[object, ...]:
    return (
        row.state,
        row.attempt,
        row.failures,
        row.crashes,
        row.session,
        row.cancel_requested,
        row.run_at,
        row.expires_at,
        row.result,
    )
