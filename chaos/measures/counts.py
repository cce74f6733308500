"""Tasks and calls counted, and throughput by the second."""

from collections import Counter
from collections.abc import Iterable

from chaos.history.events import TERMINAL, Phase, Transition
from chaos.history.record import History
from chaos.result import Counts, Sample

CRASH_LOOP = "CRASH_LOOP"


class Fates:
    """What became of each task, by the audit."""

    def __init__(self, transitions: Iterable[Transition]) -> None:
        self.state: dict[str, str] = {}
        self.purged = 0
        self.accepted_twice = 0
        self.rerun = 0
        self.crash_looped = 0
        self.winners: dict[str, int] = {}
        self._crashes: dict[str, int] = {}
        for change in transitions:
            self._follow(change)

    def ended(self) -> dict[str, int]:
        """How many tasks ended in each terminal state."""
        return dict(Counter(state for state in self.state.values() if state in TERMINAL))

    def _follow(self, change: Transition) -> None:
        if change.new is None:
            # Deleted once it had ended: what it ended as still counts.
            self.purged += 1
            return
        self.state[change.task] = change.new
        if change.crashes > self._crashes.get(change.task, 0):
            self.rerun += change.new == "QUEUED"
        if change.crashes or change.task in self._crashes:
            self._crashes[change.task] = change.crashes
        if change.new in TERMINAL and change.new != change.old:
            self.accepted_twice += change.old in TERMINAL
            self.crash_looped += change.reason == CRASH_LOOP
            if change.new == "SUCCEEDED":
                self.winners[change.task] = change.attempt


def counts(history: History) -> Counts:
    """Everything the report counts."""
    fates = Fates(history.transitions)
    phases = Counter(submit.phase for submit in history.submits)
    acknowledged = {submit.task for submit in history.submits if submit.phase == Phase.OK and submit.task}
    fresh = sum(submit.phase == Phase.OK and not submit.deduplicated for submit in history.submits)
    return Counts(
        submitted=len(history.submits),
        accepted=len(acknowledged),
        deduplicated=phases[Phase.OK] - fresh,
        refused=phases[Phase.FAILED],
        unknown=phases[Phase.UNKNOWN],
        unknown_done=len(fates.state.keys() - acknowledged),
        ended=fates.ended(),
        purged=fates.purged,
        lost=sum(fates.state.get(task) not in TERMINAL for task in acknowledged),
        accepted_twice=fates.accepted_twice,
        started=len(history.started),
        rerun=fates.rerun,
        late_refused=sum(
            end.outcome == "SUCCEEDED" and fates.winners.get(end.task) != end.attempt for end in history.ended
        ),
        crash_looped=fates.crash_looped,
        transitions=len(history.transitions),
    )


def samples(transitions: Iterable[Transition]) -> list[Sample]:
    """What happened in each second, from the first to the last change."""
    accepted, started, ended = Counter[int](), Counter[int](), Counter[int]()
    for change in transitions:
        second = int(change.at)
        accepted[second] += change.old is None
        started[second] += change.new == "RUNNING" != change.old
        ended[second] += (change.new in TERMINAL) - (change.old in TERMINAL and change.new is not None)
        if change.old in TERMINAL and change.new in TERMINAL:
            continue
    backlog, found = 0, list[Sample]()
    for second in range(max(0, min(accepted, default=0)), max(accepted, default=-1) + 1):
        backlog += accepted[second] - ended[second]
        found.append(Sample(float(second), accepted[second], started[second], ended[second], backlog))
    return found
