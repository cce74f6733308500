"""How the parts of a scheduler hang together."""

from functools import cached_property

from scheduler.api.admission import Admission
from scheduler.api.backlogs import Backlogs
from scheduler.api.cluster import Cluster
from scheduler.api.lane_room import LaneRoom
from scheduler.api.membership import EtcdMembership
from scheduler.api.queues import Queues
from scheduler.api.services import Services
from scheduler.api.submissions import SubmissionDesk
from scheduler.api.tasks import Tasks
from scheduler.api.traffic import Traffic
from scheduler.api.waits import Waits
from scheduler.clock import SystemClock
from scheduler.intake import Intake
from scheduler.publication import Publication
from scheduler.readiness import Readiness
from scheduler.settings import SchedulerSettings
from scheduler.storage.hint_stream import HintStream
from scheduler.storage.hints import TasksFinished
from scheduler.stores import Stores
from scheduler.telemetry import Telemetry


class Assembly:
    """Every part of one scheduler but its transports, made when first asked for."""

    def __init__(self, settings: SchedulerSettings, stores: Stores, telemetry: Telemetry) -> None:
        self.settings = settings
        self.stores = stores
        self.telemetry = telemetry

    @cached_property
    def hints(self) -> HintStream:
        """What others hint."""
        return self.stores.delivery.listen(TasksFinished)

    @cached_property
    def publication(self) -> Publication:
        """From the outbox to the lanes."""
        return Publication(self.stores.delivery.lanes, self.stores.tasks.outbox)

    @cached_property
    def intake(self) -> Intake:
        """Submissions in groups."""
        return Intake(self.stores.tasks.submissions, self.publication)

    @cached_property
    def admission(self) -> Admission:
        """Refuses what would be too much."""
        room = LaneRoom(self.settings.max_lanes)
        return Admission(self.stores.tasks.queues, self.stores.tasks.workers, self.settings.max_backlog, room)

    @cached_property
    def backlogs(self) -> Backlogs:
        """Tells what there is to do."""
        return Backlogs(self.stores.lists.queues, SystemClock())

    @cached_property
    def waits(self) -> Waits:
        """Callers that wait for tasks to end."""
        return Waits(self.stores.tasks.tasks)

    @cached_property
    def traffic(self) -> Traffic:
        """Bytes under way through both transports."""
        return Traffic()

    @cached_property
    def readiness(self) -> Readiness:
        """Whether requests should come here."""
        readiness = Readiness(self.stores.probe.ping)
        readiness.heed(lambda: self.stores.identity.obstacle)
        readiness.heed(self.intake.obstacle)
        return readiness

    @cached_property
    def desk(self) -> SubmissionDesk:
        """Takes submissions."""
        return SubmissionDesk(self.intake, self.admission, self.stores.tasks.tasks, self.telemetry)

    @cached_property
    def tasks(self) -> Tasks:
        """Verbs on tasks."""
        store = self.stores.tasks
        return Tasks(
            bulk=self.stores.lists,
            stored=store.tasks,
            listed=self.stores.lists.tasks,
            changes=store.changes,
            outbox=store.outbox,
            publication=self.publication,
            waits=self.waits,
            hints=self.stores.delivery.hints,
            telemetry=self.telemetry,
            leaving=self.traffic.leaving,
        )

    @cached_property
    def services(self) -> Services:
        """All that the transports serve."""
        return Services(
            desk=self.desk,
            tasks=self.tasks,
            queues=Queues(self.stores.tasks.queues, self.stores.lists.queues),
            backlogs=self.backlogs,
            cluster=Cluster(EtcdMembership(self.stores.etcd), self.stores.lists.workers),
            readiness=self.readiness,
            traffic=self.traffic,
        )

    async def listen(self) -> None:
        """Follow hints for ever."""
        async with self.hints as stream:
            async for hint in stream:
                if isinstance(hint, TasksFinished) and self.waits.anyone:
                    self.waits.finished(hint.ids)
