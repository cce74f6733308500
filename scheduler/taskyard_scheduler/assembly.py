"""How the parts of a scheduler hang together."""

from functools import cached_property

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.readiness import Readiness
from taskyard_core.runtime.service import Part
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import TasksFinished
from taskyard_core.telemetry.facade import Telemetry
from taskyard_scheduler.api.admission import Admission
from taskyard_scheduler.api.backlogs import Backlogs
from taskyard_scheduler.api.cluster import Cluster
from taskyard_scheduler.api.lane_room import LaneRoom
from taskyard_scheduler.api.queues import Queues
from taskyard_scheduler.api.services import Services
from taskyard_scheduler.api.submissions import SubmissionDesk
from taskyard_scheduler.api.tasks import Tasks
from taskyard_scheduler.api.traffic import Traffic
from taskyard_scheduler.api.waits import Waits
from taskyard_scheduler.intake import Intake
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_scheduler.stores import Stores


class Assembly:
    """Every part of one scheduler but its transports; what needs others is made when first asked for."""

    def __init__(self, settings: SchedulerSettings, stores: Stores, telemetry: Telemetry) -> None:
        self.settings = settings
        self.stores = stores
        self.telemetry = telemetry
        self.backlogs = Backlogs(stores.lists.queues, SystemClock())
        self.waits = Waits(stores.tasks.tasks, SystemClock())
        self.traffic = Traffic()

    @cached_property
    def hints(self) -> HintStream:
        """What others hint."""
        return self.stores.delivery.listen(TasksFinished)

    @cached_property
    def aftermath(self) -> Aftermath:
        """What follows a commit."""
        return Aftermath.over(self.stores.delivery, self.stores.tasks.queued, self.telemetry)

    @cached_property
    def intake(self) -> Intake:
        """Submissions in groups."""
        return Intake(self.stores.tasks.submissions, self.aftermath)

    @cached_property
    def admission(self) -> Admission:
        """Refuses what would be too much."""
        room = LaneRoom(self.settings.max_lanes, self.settings.lane_retention)
        return Admission(self.stores.tasks.queues, self.stores.tasks.sessions, self.settings.max_backlog, room)

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
            aftermath=self.aftermath,
            waits=self.waits,
            hints=self.stores.delivery.hints,
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
            cluster=Cluster(self.stores.etcd, self.stores.lists.sessions, self.traffic.leaving),
            readiness=self.readiness,
            traffic=self.traffic,
        )

    def in_order(self, doors: Part) -> tuple[Part, ...]:
        """All that starts, in that order; it stops in the reverse one. `doors` take requests."""
        return (
            Part("aftermath", stop=self.aftermath.close),
            Part("intake", stop=self.intake.close),
            Part("admission", run=self.admission.run),
            Part("waits", run=self.waits.run),
            Part("hints", run=self._listen),
            doors,
            Part("callers", stop=self._send_callers_away),
        )

    async def _send_callers_away(self) -> None:
        self.readiness.drain()
        self.waits.close()

    async def _listen(self) -> None:
        async with self.hints as stream:
            async for hint in stream:
                if isinstance(hint, TasksFinished) and self.waits.anyone:
                    self.waits.finished(hint.ids)
