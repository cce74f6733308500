"""What there is to do for a pool of workers: what waits for it, and what it runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.domain import lanes
from scheduler.domain.lanes import Lane
from scheduler.domain.matching import Capabilities
from scheduler.domain.violations import Violation


class LaneLoad(NamedTuple):
    """How many tasks of a lane wait, where `labels` is None, or run on workers with exactly these labels."""

    lane: str
    tasks: int
    labels: Mapping[str, str] | None = None


class Demand(NamedTuple):
    """Tasks that could run now if there were workers, and tasks that run on the workers there are."""

    backlog: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Workers that are alike; no queues or no types means all of them."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    queues: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def demand(self, loads: Iterable[LaneLoad]) -> Demand:
        """What there is to do for the pool. A lane that several pools could run counts for each of them."""
        backlog = running = 0
        for load in loads:
            if load.labels is None:
                backlog += load.tasks if self._may_run(load.lane) else 0
            elif load.labels == self.labels and self._may_run(load.lane):
                running += load.tasks
        return Demand(backlog, running)

    def _may_run(self, name: str) -> bool:
        try:
            lane = lanes.parse(name)
            return self._capabilities(lane).serve(lane)
        except (Violation, ValueError):
            # A lane that an SQL client filled with a selector that cannot be read: it fits nobody.
            return False

    def _capabilities(self, lane: Lane) -> Capabilities:
        return Capabilities(self.namespace, self.types or frozenset((lane.type,)), self.queues, self.labels)
