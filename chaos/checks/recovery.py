"""15 Recovery: once faults are healed, a queued task with a free worker that fits starts within seconds."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.checks.placement import misfit
from chaos.checks.timeline import timeline
from chaos.checks.violation import Violation
from chaos.history.events import Placement, SessionChange, Transition
from chaos.history.record import History

NAME = "recovery"


def check(history: History) -> Iterator[Violation]:
    """After `healed_at` no lane stands still, and no task is passed by much younger ones, while workers are free.

    How long a task may wait for its turn in a long queue is a matter of speed, so it is late only if its lane stood
    still for the bound, or if a task was started that had been queued by the bound later. Due tasks are promoted in
    time.
    """
    healed, bound = history.facts.healed_at, history.facts.recovery
    if healed is None:
        return
    lanes = _Lanes(healed, bound)
    for change in timeline(history.transitions, history.sessions):
        if isinstance(change, SessionChange):
            lanes.session_changed(change)
        else:
            if (change.old, change.new) == ("SCHEDULED", "QUEUED") and change.at - max(change.due, healed) > bound:
                late = change.at - max(change.due, healed)
                yield Violation(NAME, f"task {change.task} was promoted {late:.1f} s late", change.task)
            if late_by := lanes.changed(change):
                yield Violation(NAME, f"task {change.task} waited {late_by:.1f} s beside a free worker", change.task)


class _Lane:
    """The tasks of one placement, and since when a session that fits has a free slot."""

    def __init__(self) -> None:
        self.free_sessions = 0
        self.free_since = 0.0
        self.last_claim = 0.0
        self.newest_claimed = 0.0


class _Lanes:
    """Follows sessions' free slots and lanes' progress along the history."""

    def __init__(self, healed: float, bound: float) -> None:
        self._healed = healed
        self._bound = bound
        self._lanes: dict[Placement, _Lane] = {}
        self._placements: dict[str, Placement] = {}
        self._queued: dict[str, float] = {}
        self._held: dict[str, str] = {}
        self._sessions: dict[str, SessionChange] = {}
        self._open: Counter[str] = Counter()
        self._free: set[str] = set()
        self._fitting: dict[str, list[_Lane]] = defaultdict(list)

    def session_changed(self, change: SessionChange) -> None:
        """A session came, changed or went."""
        self._set_free(change.session, False, change.at)
        self._sessions[change.session] = change
        self._fitting[change.session] = [
            lane for placement, lane in self._lanes.items() if misfit(change, placement) is None
        ]
        self._update(change.session, change.at)

    def changed(self, change: Transition) -> float | None:
        """A task moved. Returns how long it had waited if that was too long."""
        if change.placement is not None and change.old is None:
            self._placements[change.task] = change.placement
            self._lane(change.placement, change.at)
        late = None
        if change.old == "QUEUED" and change.new != "QUEUED":
            queued_at = self._queued.pop(change.task, change.at)
            if change.new == "RUNNING":
                late = self._claimed(change, queued_at)
        if change.old == "RUNNING" and change.new != "RUNNING" and change.task in self._held:
            session = self._held.pop(change.task)
            self._open[session] -= 1
            self._update(session, change.at)
        if change.new == "QUEUED":
            self._queued[change.task] = change.at
        return late

    def _claimed(self, change: Transition, queued_at: float) -> float | None:
        late = None
        placement = self._placements.get(change.task)
        if placement is not None:
            lane = self._lane(placement, change.at)
            late = self._late(lane, change.at, queued_at)
            lane.last_claim = change.at
            lane.newest_claimed = max(lane.newest_claimed, queued_at)
        if change.session:
            self._held[change.task] = change.session
            self._open[change.session] += 1
            self._update(change.session, change.at)
        return late

    def _late(self, lane: _Lane, at: float, queued_at: float) -> float | None:
        if not lane.free_sessions:
            return None
        could = max(queued_at, lane.free_since, self._healed)
        stood_still = at - max(could, lane.last_claim) > self._bound
        overtaken = lane.newest_claimed > queued_at + self._bound
        return at - could if at - could > self._bound and (stood_still or overtaken) else None

    def _lane(self, placement: Placement, at: float) -> _Lane:
        lane = self._lanes.get(placement)
        if lane is None:
            lane = self._lanes[placement] = _Lane()
            for session, record in self._sessions.items():
                if misfit(record, placement) is None:
                    self._fitting[session].append(lane)
                    lane.free_sessions += session in self._free
            lane.free_since = at
        return lane

    def _update(self, session: str, at: float) -> None:
        record = self._sessions.get(session)
        if record is not None:
            able = record.live and not record.draining
            self._set_free(session, able and self._open[session] < record.slots, at)

    def _set_free(self, session: str, free: bool, at: float) -> None:
        if free == (session in self._free):
            return
        (self._free.add if free else self._free.discard)(session)
        for lane in self._fitting[session]:
            lane.free_sessions += 1 if free else -1
            if free and lane.free_sessions == 1:
                lane.free_since = at
