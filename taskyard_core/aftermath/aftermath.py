"""Whoever is concerned hears of a committed change: the lanes, those who wait for tasks, metrics, log and traces."""

from collections.abc import Sequence
from typing import Self

from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.domain import lanes
from taskyard_core.domain.task import TaskSpec, TaskState
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.delivery import Delivery
from taskyard_core.storage.lanes import lane_entries
from taskyard_core.storage.queued import QueuedTasks
from taskyard_core.storage.submissions import NewTask, Receipt, Submitted
from taskyard_core.telemetry.facade import Telemetry


class Aftermath:
    """Call it once the transaction has committed; it does not wait for what it starts."""

    def __init__(self, publication: Publication, announcements: Announcements, telemetry: Telemetry) -> None:
        self._publication = publication
        self._announcements = announcements
        self._telemetry = telemetry

    @classmethod
    def over(cls, delivery: Delivery, queued: QueuedTasks, telemetry: Telemetry) -> Self:
        """As a server has it."""
        return cls(Publication(delivery.lanes, queued), Announcements(delivery.hints), telemetry)

    def committed(self, applied: Applied, took: float = 0.0) -> None:
        """Publish the tasks that are QUEUED now, announce those that have ended, and record both.

        The commit took that many seconds.
        """
        changes = applied.moved
        if applied.outbox_id is not None:
            queued = [change for change in changes if change.target is TaskState.QUEUED]
            entries = lane_entries((c.lane, c.transition.id, c.transition.attempt) for c in queued)
            self._publication.publish_soon(applied.outbox_id, entries)
        self._announcements.finished([change.transition.id for change in changes if change.target.terminal])
        self._telemetry.changed(changes, took)

    def submitted(self, tasks: Sequence[NewTask], receipt: Receipt) -> None:
        """The same of new tasks, of which the receipt tells what became."""
        new: list[NewTask] = []
        known: list[NewTask] = []
        for task, outcome in zip(tasks, receipt.outcomes, strict=True):
            if type(outcome) is Submitted:
                (known if outcome.deduplicated else new).append(task)
        if receipt.outbox_id is not None:
            entries = lane_entries((_lane(task.spec), task.id, 0) for task in new if not task.spec.waits)
            self._publication.publish_soon(receipt.outbox_id, entries)
        self._telemetry.submitted([task.id for task in new], [task.spec for task in new])
        if known:
            self._telemetry.deduplicated([task.spec for task in known])

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._publication.close()
        await self._announcements.close()


def _lane(spec: TaskSpec) -> str:
    return lanes.name_of(spec.namespace, spec.queue, spec.type, spec.priority, spec.selector)
