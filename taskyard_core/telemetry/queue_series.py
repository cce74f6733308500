"""Which queues get series of their own."""

from collections import Counter
from collections.abc import Sequence

from taskyard_core.domain.task import TaskState
from taskyard_core.telemetry.gauges import QueueReading
from taskyard_core.telemetry.kept_places import KeptPlaces
from taskyard_core.telemetry.tally import OTHER

DEPTHS = (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED)
"""States whose tasks a queue counts."""


class QueueSeries:
    """Keeps the series of queues that were seen, at 0 once nothing is in them; the others are `other` together."""

    def __init__(self, limit: int = 1000) -> None:
        self._kept: KeptPlaces[tuple[str, str]] = KeptPlaces(limit)

    def show(self, readings: Sequence[QueueReading]) -> list[QueueReading]:
        """A reading for each queue that is kept, and one of all others where anything is in them."""
        by_place = {(reading.namespace, reading.queue): reading for reading in readings}
        busy = {place for place, reading in by_place.items() if any(reading.depth.values())}
        self._kept.see(by_place, busy)
        empty = dict.fromkeys(DEPTHS, 0)
        shown = [by_place.get(place) or QueueReading(*place, empty, 0.0) for place in self._kept]
        others = [by_place[place] for place in by_place if place in busy and place not in self._kept]
        if others:
            depth: Counter[TaskState] = Counter()
            for other in others:
                depth.update(other.depth)
            shown.append(QueueReading(OTHER, OTHER, depth, max(other.oldest_seconds for other in others)))
        return shown
