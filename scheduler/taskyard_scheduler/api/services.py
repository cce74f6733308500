"""All that the transports serve, in one hand."""

from dataclasses import dataclass

from taskyard_core.runtime.readiness import Readiness
from taskyard_scheduler.api.backlogs import Backlogs
from taskyard_scheduler.api.cluster import Cluster
from taskyard_scheduler.api.queues import Queues
from taskyard_scheduler.api.submissions import SubmissionDesk
from taskyard_scheduler.api.tasks import Tasks
from taskyard_scheduler.api.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Services:
    """One object per resource."""

    desk: SubmissionDesk
    tasks: Tasks
    queues: Queues
    backlogs: Backlogs
    cluster: Cluster
    readiness: Readiness
    traffic: Traffic
