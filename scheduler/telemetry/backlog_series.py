"""Which selectors get a series of the backlog of their own, however many clients invent."""

from collections.abc import Iterable, Mapping

from scheduler.telemetry.gauges import BacklogReading
from scheduler.telemetry.tally import OTHER

Place = tuple[str, str, str]
"""Namespace, queue, selector."""


class BacklogSeries:
    """Keeps the series of places that were seen, at 0 once nothing waits, so that who scales by them sees the end.

    At most `limit` have one. Beyond that a place takes that of one where nothing waits, or counts under `other`.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._kept: dict[Place, None] = {}

    def show(self, queues: Iterable[tuple[str, str]], waiting: Mapping[Place, int]) -> list[BacklogReading]:
        """A reading for each place that is kept. Queues, by namespace and name, have one without a selector."""
        for place in (*waiting, *((*queue, "") for queue in queues)):
            self._keep(place, waiting)
        readings = [BacklogReading(*place, waiting.get(place, 0)) for place in self._kept]
        if rest := sum(tasks for place, tasks in waiting.items() if place not in self._kept):
            readings.append(BacklogReading(OTHER, OTHER, OTHER, rest))
        return readings

    def _keep(self, place: Place, waiting: Mapping[Place, int]) -> None:
        if place in self._kept:
            return
        if len(self._kept) >= self._limit:
            idle = next((kept for kept in self._kept if kept not in waiting), None)
            if idle is None or place not in waiting:
                return
            del self._kept[idle]
        self._kept[place] = None
