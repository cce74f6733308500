"""Whoever is concerned hears of a committed change: the lanes, those who wait for tasks, metrics, log and traces."""

from collections.abc import Iterable

from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.lanes import lane_entries
from taskyard_core.telemetry import Telemetry


class Aftermath:
    """Call it once the transaction has committed; it does not wait for what it starts."""

    def __init__(self, publication: Publication, announcements: Announcements, telemetry: Telemetry) -> None:
        self._publication = publication
        self._announcements = announcements
        self._telemetry = telemetry

    def committed(self, applied: Applied, took: float = 0.0) -> None:
        """Publish the tasks that are QUEUED now, announce those that have ended, and record both.

        The commit took that many seconds.
        """
        changes = [change for change in applied.changes if change is not None]
        if applied.outbox_id is not None:
            queued = [change for change in changes if change.target is TaskState.QUEUED]
            self.queued(applied.outbox_id, ((c.lane, c.transition.id, c.transition.attempt) for c in queued))
        self._announcements.finished([change.transition.id for change in changes if change.target.terminal])
        self._telemetry.changed(changes, took)

    def queued(self, outbox_id: int | None, tasks: Iterable[tuple[str, str, int]]) -> None:
        """Publish new tasks by lane, id and attempt; the outbox row is None where there are none."""
        if outbox_id is not None:
            self._publication.publish_soon(outbox_id, lane_entries(tasks))

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._publication.close()
        await self._announcements.close()
