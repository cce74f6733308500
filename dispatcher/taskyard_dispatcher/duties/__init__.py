"""What only the leader does, each as a `run_once` plus the rota's loop; every write is fenced by its term."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.epoch import LaneEpoch
from taskyard_core.storage.etcd import Etcd
from taskyard_core.storage.lanes import LaneStore
from taskyard_core.storage.store import TaskStore
from taskyard_core.storage.tasks import Keeping
from taskyard_dispatcher.duties.audit import Audit
from taskyard_dispatcher.duties.duty import Duty
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.duties.outbox import OutboxDuty
from taskyard_dispatcher.duties.passage import Expiry, Promotion
from taskyard_dispatcher.duties.reaping import Reaping
from taskyard_dispatcher.duties.rebuild import Rebuild
from taskyard_dispatcher.duties.refill import LaneStores
from taskyard_dispatcher.duties.registrations import Registrations
from taskyard_dispatcher.duties.retention import Retention
from taskyard_dispatcher.duties.rota import DutyStalled, Rota
from taskyard_dispatcher.membership.suspicion import Patience
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.timing import DutyTiming

__all__ = ["Duty", "DutyStalled", "Keeping", "Patience", "Rota", "rota"]


def rota(
    dispatcher: str,
    *,
    store: TaskStore,
    etcd: Etcd,
    lanes: LaneStore,
    epoch: LaneEpoch,
    loss: Loss,
    aftermath: Aftermath,
    clock: Clock,
    keeping: Keeping,
    patience: Patience | None = None,
    timing: DutyTiming = DutyTiming(),
) -> Rota:
    """All duties of a leader; `dispatcher` is this process's id. Its `run` is what an Elector calls.

    The duties run side by side: a store of their own keeps them from waiting for, and holding up, the hot path.
    """
    fence = store.leader
    lane_stores = LaneStores(tables=store, lanes=lanes, epoch=epoch, clock=clock, timing=timing)

    @asynccontextmanager
    async def enlist() -> AsyncIterator[Sequence[Duty]]:
        registrations = Registrations(etcd, clock)
        try:
            yield [
                OutboxDuty(Fenced(fence, OutboxDuty.name), store.queued, lanes, timing),
                Promotion(Fenced(fence, Promotion.name), store.tasks, aftermath, timing.page),
                Expiry(Fenced(fence, Expiry.name), store.tasks, aftermath, timing.page),
                registrations,
                Reaping(
                    fenced=Fenced(fence, Reaping.name),
                    sessions=store.sessions,
                    registrations=registrations,
                    loss=loss,
                    aftermath=aftermath,
                    clock=clock,
                    patience=patience or Patience(),
                ),
                Rebuild(Fenced(fence, Rebuild.name), lane_stores),
                Audit(Fenced(fence, Audit.name), lane_stores),
                Retention(Fenced(fence, Retention.name), store.tasks, clock, keeping, timing),
            ]
        finally:
            await registrations.close()

    return Rota(dispatcher, fence, enlist, clock, timing=timing)
