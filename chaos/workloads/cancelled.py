"""Cancels that race with everything: before the start, while it runs, just as it ends, and twice."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from chaos.checks.violation import Violation
from chaos.history.events import Phase
from chaos.history.record import History
from chaos.workloads.recorder import Recorder
from chaos.workloads.stream import Stream, final_states
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import RetryPolicy, TaskRequest


class Cancelled(Stream):
    """Half of the tasks are cancelled at some moment of their short lives."""

    name = "cancelled"
    # A failure that was decided before the cancel came may be the last one.
    expected: ClassVar = {"chaos.cancelled": frozenset({"SUCCEEDED", "CANCELLED", "FAILED"})}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks that wait, run for a moment, or fail once, so that cancels find them in every state."""
        return [self._request(stage) for _ in range(min(count, 50))]

    async def act(self, stage: Stage, recorder: Recorder, tasks: Sequence[str]) -> None:
        """Cancels half of them at random moments, some of them twice, and looks."""
        chosen = [task for task in tasks if stage.draw.random() < 0.5]
        async with asyncio.TaskGroup() as cancels:
            for task in chosen:
                cancels.create_task(self._cancel(recorder, task, stage.draw.random(), stage.draw.random() < 0.2))

    async def _cancel(self, recorder: Recorder, task: str, after: float, twice: bool) -> None:
        await asyncio.sleep(after)
        await recorder.cancel(task)
        if twice:
            await recorder.cancel(task)
        await recorder.get(task)

    def _request(self, stage: Stage) -> TaskRequest:
        payload = {
            "token": token(stage.draw),
            "seconds": stage.draw.random() * 0.8,
            "failures": int(stage.draw.random() < 0.2),
        }
        delay = stage.draw.random() if stage.draw.random() < 0.3 else None
        return TaskRequest("chaos.cancelled", payload, delay=delay, retry=RetryPolicy(initial_backoff=0.3))

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, what a client was told is CANCELLED stayed so, and nothing was cancelled that nobody cancelled."""
        yield from super().check(history)
        last = final_states(history)
        asked: set[str] = set()
        for call in history.calls:
            if call.verb == "cancel" and call.phase != Phase.FAILED:
                asked.add(call.task)
                end = last.get(call.task)
                if call.state == "CANCELLED" and end is not None and end.new not in ("CANCELLED", None):
                    yield Violation(self.name, f"task {call.task} was called CANCELLED and ended {end.new}", call.task)
        for task, end in last.items():
            if end.new == "CANCELLED" and task not in asked:
                yield Violation(self.name, f"task {task} was cancelled, and nobody had asked for it", task)
