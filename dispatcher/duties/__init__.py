"""What only the leader does, each as a `run_once` plus the rota's loop; every write is fenced by its term."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dispatcher.duties.audit import Audit
from dispatcher.duties.duty import Duty
from dispatcher.duties.expiry import Announce, Expiry
from dispatcher.duties.fenced import Fenced
from dispatcher.duties.outbox import OutboxDuty
from dispatcher.duties.passage import Passage
from dispatcher.duties.promotion import Promotion
from dispatcher.duties.reaping import LosesSessions, Reaping
from dispatcher.duties.rebuild import Rebuild
from dispatcher.duties.registrations import Registrations
from dispatcher.duties.retention import Retention
from dispatcher.duties.rota import DutyStalled, Rota
from dispatcher.duties.suspicion import Patience
from scheduler.clock import Clock
from scheduler.publication import Publication
from scheduler.storage.epoch import LaneEpoch
from scheduler.storage.etcd import Etcd
from scheduler.storage.history import Keeping
from scheduler.storage.lanes import LaneStore
from scheduler.storage.store import TaskStore
from scheduler.telemetry import Telemetry

__all__ = ["Duty", "DutyStalled", "Keeping", "Patience", "Rota", "rota"]


def rota(
    dispatcher: str,
    *,
    store: TaskStore,
    etcd: Etcd,
    lanes: LaneStore,
    epoch: LaneEpoch,
    loss: LosesSessions,
    publication: Publication,
    announce: Announce,
    telemetry: Telemetry,
    clock: Clock,
    keeping: Keeping,
    patience: Patience | None = None,
) -> Rota:
    """All duties of a leader; `dispatcher` is this process's id. Its `run` is what an Elector calls.

    The duties run side by side: a store of their own keeps them from waiting for, and holding up, the hot path.
    """
    fence = store.leader

    def passage(duty: str) -> Passage:
        return Passage(Fenced(fence, duty), telemetry)

    @asynccontextmanager
    async def enlist() -> AsyncIterator[Sequence[Duty]]:
        registrations = Registrations(etcd, clock)
        try:
            yield [
                OutboxDuty(Fenced(fence, OutboxDuty.name), store.outbox, lanes),
                Promotion(passage(Promotion.name), store.waiting, publication),
                Expiry(passage(Expiry.name), store.waiting, announce),
                registrations,
                Reaping(
                    fenced=Fenced(fence, Reaping.name),
                    sessions=store.sessions,
                    registrations=registrations,
                    loss=loss,
                    clock=clock,
                    patience=patience or Patience(),
                ),
                Rebuild(
                    fenced=Fenced(fence, Rebuild.name),
                    fence=fence,
                    epoch=epoch,
                    queued=store.queued,
                    lanes=lanes,
                    clock=clock,
                ),
                Audit(
                    fenced=Fenced(fence, Audit.name),
                    fence=fence,
                    epoch=epoch,
                    queued=store.queued,
                    lanes=lanes,
                    clock=clock,
                ),
                Retention(Fenced(fence, Retention.name), store.history, clock, keeping),
            ]
        finally:
            await registrations.close()

    return Rota(dispatcher, fence, enlist, clock)
