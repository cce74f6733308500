"""What the run showed, and whether that is what was promised: pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from examples.word_count.plan import SSD_WORKER, Plan
from examples.word_count.run import Outcome
from taskyard import AttemptOutcome, TaskState

WIDTH = 24


@dataclass(frozen=True)
class Report:
    """The plan, what came of it, and the words counted by tasks and plainly."""

    plan: Plan
    outcome: Outcome
    counted: Counter[str]
    expected: Counter[str]

    @property
    def lost(self) -> frozenset[str]:
        """Tasks of which the killed worker lost an attempt."""
        kill = self.outcome.worker_kill
        if kill is None:
            return frozenset()
        return frozenset(
            task_id
            for task_id, attempts in self.outcome.attempts.items()
            if any(a.session_id == kill.session_id and a.outcome is AttemptOutcome.CRASHED for a in attempts)
        )

    @property
    def run_again(self) -> int:
        """How many of the lost tasks succeeded in another attempt."""
        attempts = self.outcome.attempts
        return sum(any(a.outcome is AttemptOutcome.SUCCEEDED for a in attempts[task_id]) for task_id in self.lost)

    @property
    def outcome_rows(self) -> Counter[int]:
        """How many tasks have how many successful attempts."""
        return Counter(
            sum(attempt.outcome is AttemptOutcome.SUCCEEDED for attempt in attempts)
            for attempts in self.outcome.attempts.values()
        )

    def problems(self) -> list[str]:
        """What is not as promised; empty when all is well."""
        return [*self._task_problems(), *self._kill_problems(), *self._count_problems()]

    def _task_problems(self) -> Iterator[str]:
        outcome, total = self.outcome, len(self.plan.files)
        if outcome.refused:
            yield f"{len(outcome.refused)} submits failed, the first: {outcome.refused[0]}"
        if len(outcome.tasks) != total:
            yield f"{total} tasks were submitted, {len(outcome.tasks)} are over"
        states = Counter(task.state for task in outcome.tasks.values())
        if unsuccessful := {state: number for state, number in states.items() if state is not TaskState.SUCCEEDED}:
            yield f"not all succeeded: {', '.join(f'{number} {state}' for state, number in unsuccessful.items())}"
        if outcome.deduplicated != self.plan.duplicates:
            yield f"{outcome.deduplicated} duplicates were refused, not {self.plan.duplicates}"
        if strayed := sum(bool(task.selector) and task.worker != SSD_WORKER for task in outcome.tasks.values()):
            yield f"{strayed} tasks for io=ssd ran elsewhere"

    def _kill_problems(self) -> Iterator[str]:
        if self.outcome.worker_kill is None:
            yield "no worker held a task that could be lost: too few tasks"
        elif not self.lost:
            yield "the killed worker lost no attempt"
        if self.outcome.leader_kill is None:
            yield "no leader was killed"

    def _count_problems(self) -> Iterator[str]:
        if set(self.outcome_rows) != {1}:
            yield f"outcome rows per task are not always 1: {dict(self.outcome_rows)}"
        if self.counted != self.expected:
            wrong = sum(self.counted[word] != times for word, times in self.expected.items())
            wrong += sum(word not in self.expected for word in self.counted)
            yield f"the tasks' counts differ from the plain count in {wrong} words"

    def text(self) -> str:
        """The report, ending with PASS or FAIL."""
        problems = self.problems()
        lines = [f"{name:{WIDTH}}{value}" for name, value in self._rows()]
        return "\n".join([*lines, *(f"! {problem}" for problem in problems), "FAIL" if problems else "PASS"])

    def _rows(self) -> Iterator[tuple[str, str]]:
        outcome, plan = self.outcome, self.plan
        total = len(plan.files)
        yield "tasks", f"{total:,}, of which {plan.restricted:,} for io=ssd only"
        yield "duplicates refused", f"{outcome.deduplicated} of {plan.duplicates}"
        if (worker := outcome.worker_kill) is not None:
            yield "killed worker", f"{worker.name}: {len(self.lost)} attempts lost, {self.run_again} re-run"
        if (leader := outcome.leader_kill) is not None:
            terms = f"term {leader.term} -> {leader.next_term}"
            yield "killed leader", f"{leader.pod}: {leader.next_pod} leads after {leader.seconds:.1f} s ({terms})"
        yield "tasks/s", f"{outcome.rate_before_kill:,.0f} until the first kill, {self._rate():,.0f} over all"
        yield "time", f"{outcome.seconds:.1f} s from the first submit to the last outcome"
        yield "outcome rows per task", self._rows_per_task()
        yield "words", f"{self.counted.total():,} by tasks, {self.expected.total():,} by a plain count"

    def _rate(self) -> float:
        return len(self.outcome.tasks) / self.outcome.seconds if self.outcome.seconds else 0.0

    def _rows_per_task(self) -> str:
        rows = self.outcome_rows
        if set(rows) == {1}:
            return "always 1"
        return ", ".join(f"{number} for {tasks} tasks" for number, tasks in sorted(rows.items()))
