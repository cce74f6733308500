"""How many lanes may hold waiting tasks: a lane costs memory in Redis and time in every count, served or not."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from taskyard_core.domain import lanes
from taskyard_core.domain.matching import Capabilities
from taskyard_scheduler.api.recent import Recent

DEFAULT_LANES = 10_000
NAMESPACE_SHARE = 2
"""One namespace may have the nth part of the lanes, so that another finds room."""
SERVED_BONUS = 2
"""Lanes that a connected worker serves soon empty; they may be so many times as many before they are refused too."""


class LaneRoom:
    """Knows the lanes with waiting tasks from the last count, plus what was admitted here since.

    Only what would make a new lane is ever refused. With several schedulers the bound can be passed by what the others
    admit between two counts.
    """

    def __init__(self, most: int = DEFAULT_LANES, kept: float = 600.0) -> None:
        """A lane that was used in the last `kept` seconds is there still, and so it is not new."""
        self.most = most
        self._known: Recent[str] = Recent(kept, SERVED_BONUS * most)
        self._waiting: set[str] = set()
        # Admitted since the last count began, and in the time before: what is on its way is in no count yet.
        self._since_count: set[str] = set()
        self._before_count: set[str] = set()
        self._by_namespace: Counter[str] = Counter()
        self._workers: Mapping[tuple[str, str], Iterable[Capabilities]] = {}

    @property
    def crowded(self) -> bool:
        """Whether it may soon matter which lanes are served."""
        return len(self._waiting) * 2 * NAMESPACE_SHARE >= self.most

    def admit(self, name: str) -> bool:
        """Whether a task may go into the lane of that name; then the lane counts."""
        if name not in self._waiting:
            if name not in self._known and not self._has_room(name):
                return False
            self._waiting.add(name)
            self._since_count.add(name)
            self._by_namespace[lanes.place(name)[0]] += 1
            self._known.add(name)
        return True

    def begin_count(self) -> None:
        """A count begins: what is admitted from now on may or may not be in it."""
        self._before_count, self._since_count = self._since_count, set()

    def counted(self, waiting: Collection[str], now: float) -> None:
        """These are all lanes with waiting tasks."""
        self._known.pass_on(now)
        former, self._waiting = self._waiting, {*waiting, *self._since_count, *self._before_count}
        for name in former - self._waiting:
            self._known.add(name)
        self._by_namespace = Counter(lanes.place(name)[0] for name in self._waiting)
        if not self.crowded:
            self._workers = {}

    def serving(self, workers: Iterable[Capabilities]) -> None:
        """What connected workers can do."""
        by_type: dict[tuple[str, str], list[Capabilities]] = defaultdict(list)
        for able in workers:
            for type_ in able.types:
                by_type[able.namespace, type_].append(able)
        self._workers = by_type

    def _has_room(self, name: str) -> bool:
        if len(self._waiting) < self.most and self._by_namespace[lanes.place(name)[0]] < self._share:
            return True
        return len(self._waiting) < SERVED_BONUS * self.most and self._served(name)

    @property
    def _share(self) -> int:
        return max(1, self.most // NAMESPACE_SHARE)

    def _served(self, name: str) -> bool:
        lane = lanes.parse(name)
        return any(able.serve(lane) for able in self._workers.get((lane.namespace, lane.type), ()))
