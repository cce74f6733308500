"""All that the transports serve, in one hand."""

from dataclasses import dataclass

from scheduler.api.backlogs import Backlogs
from scheduler.api.cluster import Cluster
from scheduler.api.queues import Queues
from scheduler.api.readiness import Readiness
from scheduler.api.submissions import SubmissionDesk
from scheduler.api.tasks import Tasks
from scheduler.api.traffic import Traffic


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
