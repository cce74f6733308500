"""Tasks that must not start yet."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from chaos.checks.violation import Violation
from chaos.history.events import Phase
from chaos.history.record import History
from chaos.workloads.plain import SUCCEEDED
from chaos.workloads.stream import Stream
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import TaskRequest


class Delayed(Stream):
    """Delays of a moment up to some seconds."""

    name = "delayed"
    expected: ClassVar = {"chaos.delayed": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks with random delays."""
        return [
            TaskRequest("chaos.delayed", {"token": token(stage.draw)}, delay=0.1 + stage.draw.random() * 8)
            for _ in range(count)
        ]

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, by its worker's own clock no task began earlier than its client had asked for."""
        yield from super().check(history)
        due = {
            s.task: s.invoked + (s.delay or 0.0)
            for s in history.submits
            if s.workload == self.name and s.phase == Phase.OK and not s.deduplicated
        }
        for start in history.started:
            early = due.get(start.task, start.at) - start.at
            if early > history.facts.clock_tolerance:
                yield Violation(self.name, f"task {start.task} began {early:.3f} s early", start.task)
