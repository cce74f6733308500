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
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.changes import Changes
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.history import History, Keeping
from scheduler.storage.postgres.leader import LeaderFence
from scheduler.storage.postgres.outbox import Outbox
from scheduler.storage.postgres.queued import QueuedTasks
from scheduler.storage.postgres.sessions import Sessions
from scheduler.storage.postgres.waiting import WaitingTasks
from scheduler.storage.redis import LaneEpoch, LaneStore
from scheduler.telemetry import Telemetry

__all__ = ["Duty", "DutyStalled", "Keeping", "Patience", "Rota", "rota"]


def rota(
    dispatcher: str,
    *,
    database: Database,
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

    The duties run side by side: a database of their own keeps them from waiting for, and holding up, the hot path.
    """
    fence = LeaderFence(database)
    queued, waiting, changes = QueuedTasks(database), WaitingTasks(database), Changes(database)

    def passage(duty: str) -> Passage:
        return Passage(Fenced(fence, duty), changes, telemetry)

    @asynccontextmanager
    async def enlist() -> AsyncIterator[Sequence[Duty]]:
        registrations = Registrations(etcd, clock)
        try:
            yield [
                OutboxDuty(Fenced(fence, OutboxDuty.name), Outbox(database), lanes),
                Promotion(passage(Promotion.name), waiting, publication),
                Expiry(passage(Expiry.name), waiting, announce),
                registrations,
                Reaping(
                    fenced=Fenced(fence, Reaping.name),
                    sessions=Sessions(database),
                    registrations=registrations,
                    loss=loss,
                    clock=clock,
                    patience=patience or Patience(),
                ),
                Rebuild(
                    fenced=Fenced(fence, Rebuild.name),
                    fence=fence,
                    epoch=epoch,
                    queued=queued,
                    lanes=lanes,
                    clock=clock,
                ),
                Audit(
                    fenced=Fenced(fence, Audit.name), fence=fence, epoch=epoch, queued=queued, lanes=lanes, clock=clock
                ),
                Retention(Fenced(fence, Retention.name), History(database), clock, keeping),
            ]
        finally:
            await registrations.close()

    return Rota(dispatcher, fence, enlist, clock)
