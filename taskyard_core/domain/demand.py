"""What there is to do for a pool of workers: what waits for it, and what it runs."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from taskyard_core.domain.lane_index import LaneIndex
from taskyard_core.domain.violations import Violation


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


class Loads:
    """What waits and what runs, as last counted. A lane is read once, however often it is counted."""

    def __init__(self) -> None:
        self._index = LaneIndex()
        self.waiting: Mapping[str, int] = {}
        self._running: dict[tuple[tuple[str, str], ...], LaneIndex] = {}
        self._tasks: dict[tuple[tuple[tuple[str, str], ...], str], int] = {}

    def replace(self, loads: Iterable[LaneLoad]) -> None:
        """Another count."""
        waiting: dict[str, int] = {}
        running: dict[tuple[tuple[str, str], ...], dict[str, int]] = {}
        for load in loads:
            if load.labels is None:
                waiting[load.lane] = load.tasks
            else:
                running.setdefault(tuple(sorted(load.labels.items())), {})[load.lane] = load.tasks
        _follow(self._index, self.waiting, waiting)
        self.waiting = waiting
        self._running = {labels: self._running.get(labels, LaneIndex()) for labels in running}
        for labels, lanes in running.items():
            _follow(self._running[labels], self._running[labels].names, lanes)
        self._tasks = {(labels, name): tasks for labels, lanes in running.items() for name, tasks in lanes.items()}

    def demand(self, pool: Pool) -> Demand:
        """What there is to do for the pool. A lane that several pools could run counts for each of them."""
        asker = (pool.namespace, sorted(pool.types), sorted(pool.queues), pool.labels)
        labels = tuple(sorted(pool.labels.items()))
        backlog = sum(self.waiting[lane.name] for lane in self._index.served_by(*asker))
        running = self._running[labels].served_by(*asker) if labels in self._running else ()
        return Demand(backlog, sum(self._tasks[labels, lane.name] for lane in running))


def _follow(index: LaneIndex, former: Collection[str], names: Collection[str]) -> None:
    for name in [name for name in former if name not in names]:
        index.discard(name)
    for name in names:
        # A lane that an SQL client filled with a selector that cannot be read fits nobody.
        with suppress(Violation, ValueError):
            index.add(name)
