"""Which selectors get a series of the backlog of their own."""

from collections.abc import Iterable, Mapping

from taskyard_core.telemetry.gauges import BacklogReading
from taskyard_core.telemetry.kept_places import KeptPlaces
from taskyard_core.telemetry.tally import OTHER

Place = tuple[str, str, str]
"""Namespace, queue, selector."""


class BacklogSeries:
    """Keeps the series of places that were seen, at 0 once nothing waits, so that who scales by them sees the end.

    What is beyond the limit counts under `other`.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._kept: KeptPlaces[Place] = KeptPlaces(limit)

    def show(self, queues: Iterable[tuple[str, str]], waiting: Mapping[Place, int]) -> list[BacklogReading]:
        """A reading for each place that is kept. Queues, by namespace and name, have one without a selector."""
        self._kept.see((*waiting, *((*queue, "") for queue in queues)), waiting)
        readings = [BacklogReading(*place, waiting.get(place, 0)) for place in self._kept]
        if rest := sum(tasks for place, tasks in waiting.items() if place not in self._kept):
            readings.append(BacklogReading(OTHER, OTHER, OTHER, rest))
        return readings
