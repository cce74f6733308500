"""Dead letters: failed for good, redriven one by one or together, some purged."""

from collections.abc import Sequence
from typing import ClassVar

from chaos.workloads.recorder import Recorder
from chaos.workloads.stream import Stream
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import TaskFilter, TaskRequest, TaskState

WAIT = 5.0
"""Seconds that a client waits for a task to become a dead letter."""


class Redriven(Stream):
    """Tasks whose first run fails for good, and whose second one succeeds if somebody redrives them."""

    name = "redriven"
    expected: ClassVar = {"chaos.redriven": frozenset({"SUCCEEDED", "FAILED"})}

    LETTERS = TaskFilter(type="chaos.redriven", state=TaskState.FAILED)

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks that fail once or twice before they succeed."""
        return [
            TaskRequest("chaos.redriven", {"token": token(stage.draw), "hopeless_before": stage.draw.randint(2, 3)})
            for _ in range(min(count, 50))
        ]

    async def act(self, stage: Stage, recorder: Recorder, tasks: Sequence[str]) -> None:
        """Redrives one by itself, and then some of those that fit a filter; seldom purges them."""
        if await recorder.wait(tasks[0], WAIT):
            await recorder.redrive(tasks[0])
            await recorder.get(tasks[0])
        if stage.draw.random() < 0.1:
            await recorder.purge_many(self.LETTERS)
        else:
            await recorder.redrive_many(self.LETTERS)
