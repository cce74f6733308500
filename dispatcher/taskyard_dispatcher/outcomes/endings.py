"""What follows once endings of attempts are committed: whoever is concerned gets to know."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.changes import Applied
from taskyard_core.telemetry import Ended, Telemetry


class Endings:
    """Publishes the tasks that wait again, announces those that are finished, and records both."""

    def __init__(self, publication: Publication, announcements: Announcements, telemetry: Telemetry) -> None:
        self._publication = publication
        self._announcements = announcements
        self._telemetry = telemetry

    def committed(self, endings: Sequence[Ended], applied: Applied, took: float = 0.0) -> None:
        """Tell of those endings that came to pass, and as they did; the commit took that many seconds."""
        passed = [
            ending if transition is ending.transition else ending._replace(transition=transition)
            for ending, transition in zip(endings, applied.moved, strict=True)
            if transition is not None
        ]
        self._publication.publish_soon(applied.outbox_id, lane_entries(passed))
        self._announcements.finished([ended.transition.id for ended in passed if ended.transition.target.terminal])
        self._telemetry.ended(passed, took)


def lane_entries(ends: Iterable[Ended]) -> dict[str, list[tuple[str, int]]]:
    """Lane name to (task id, attempt) of each task that waits again."""
    entries: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for ended in ends:
        if ended.transition.target is TaskState.QUEUED:
            entries[ended.lane].append((ended.transition.id, ended.transition.attempt))
    return entries
