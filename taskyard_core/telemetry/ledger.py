"""Everything that a process counts."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from taskyard_core.domain.task import TaskSpec
from taskyard_core.domain.transitions import Change
from taskyard_core.telemetry.distribution import SECONDS, SIZES, Distribution
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.tally import Tallies


class Ledger:
    """Plain counters in memory, written in batches by the event loop and read by whoever exports.

    OpenTelemetry's own instruments cost several microseconds per call, which the hot path cannot afford; these are
    exported through it all the same.
    """

    def __init__(self, limit: int = 1000) -> None:
        self.tallies = Tallies(limit)
        self.refused: defaultdict[str, int] = defaultdict(int)
        """Results that were not accepted, by reason."""
        self.commit_sizes: dict[str, Distribution] = {}
        self.commit_seconds: dict[str, Distribution] = {}
        self.lines_lost = 0

    def submitted(self, specs: Iterable[TaskSpec]) -> None:
        """Tasks were stored."""
        of = self.tallies.of
        for spec in specs:
            of(spec.namespace, spec.queue, spec.type).submitted += 1

    def deduplicated(self, specs: Iterable[TaskSpec]) -> None:
        """Submissions were answered with an earlier task of the same key."""
        of = self.tallies.of
        for spec in specs:
            of(spec.namespace, spec.queue, spec.type).deduplicated += 1

    def claimed(self, claims: Sequence[Claim]) -> None:
        """Tasks started to run."""
        of_lane = self.tallies.of_lane
        for _, _, lane, _, waited, _ in claims:
            tally = of_lane(lane)
            tally.started += 1
            distribution = tally.waited
            if waited > 0:
                # The body of Distribution.add: a call costs as much as all the rest.
                distribution.counts[bisect_left(SECONDS, waited)] += 1
                distribution.sum += waited
            else:
                distribution.counts[0] += 1

    def changed(self, changes: Sequence[Change]) -> None:
        """Tasks changed their state, attempts ended with that or not."""
        of_lane = self.tallies.of_lane
        for transition, source, target, lane, _ in changes:
            tally = of_lane(lane)
            outcome, ran = transition.rule.outcome, transition.ran
            if outcome is None:
                tally.moves[source, target] += 1
            else:
                tally.ends[outcome, target] += 1
            if ran is not None:
                distribution = tally.ran
                if ran > 0:
                    distribution.counts[bisect_left(SECONDS, ran)] += 1
                    distribution.sum += ran
                else:
                    distribution.counts[0] += 1

    def committed(self, statement: str, tasks: int, seconds: float) -> None:
        """A group commit of that many tasks took that long."""
        if statement not in self.commit_sizes:
            self.commit_sizes[statement] = Distribution(SIZES)
            self.commit_seconds[statement] = Distribution(SECONDS)
        self.commit_sizes[statement].add(tasks)
        self.commit_seconds[statement].add(seconds)
