"""The common course of a workload: a stream of batches, an act on some of their tasks, an expectation of all."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import ClassVar

from chaos.checks.violation import Violation
from chaos.history.events import Phase, Transition
from chaos.history.record import History
from chaos.workloads.rate_limit import RateLimit
from chaos.workloads.recorder import Recorder
from chaos.workloads.workload import Stage
from taskyard import TaskHandle, TaskRequest

PATIENCE = 60.0
"""Seconds after which a batch no longer counts as outstanding, though its pilot has not ended."""


class Stream:
    """A workload that submits what `requests` draws, at the stage's rate.

    A batch counts as outstanding until its last task, the pilot, has ended. To make a workload, give `name`, `expected`
    and `requests`; `act` is what else clients do to tasks.
    """

    name: str
    expected: ClassVar[Mapping[str, frozenset[str]]]
    """By type, the states in which its tasks may end. FAILED by a crash loop is always allowed: workers are killed."""

    async def setup(self, stage: Stage) -> None:
        """Nothing to prepare."""

    async def start(self, stage: Stage) -> None:
        """Submits until told to stop; what then waits for its tasks is given up."""
        recorder = Recorder(stage.client, stage.journal, self.name)
        pace = RateLimit(stage.rate, clock=stage.clock)
        room = asyncio.Semaphore(max(1, stage.outstanding // pace.batch))
        async with asyncio.TaskGroup() as batches:
            running: set[asyncio.Task[None]] = set()
            while await _goes_on(stage.stop, room.acquire()) and await _goes_on(stage.stop, pace.turn()):
                batch = batches.create_task(self._batch(stage, recorder, pace.batch, room))
                running.add(batch)
                batch.add_done_callback(running.discard)

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """About so many tasks to submit together."""
        raise NotImplementedError

    async def act(self, stage: Stage, recorder: Recorder, tasks: Sequence[str]) -> None:
        """What clients do after a batch was accepted; reads one of it by default."""
        await recorder.get(stage.draw.choice(tasks))

    def check(self, history: History) -> Iterator[Violation]:
        """Each acknowledged task ended as its type should."""
        last = final_states(history)
        mine = {s.task: s for s in history.submits if s.workload == self.name and s.phase == Phase.OK and s.task}
        for task, submit in mine.items():
            end = last.get(task)
            if end is None or end.new is None or end.reason == "CRASH_LOOP":
                continue
            if end.new not in self.expected[submit.type]:
                yield Violation(self.name, f"task {task} of type {submit.type} ended {end.new} ({end.reason})", task)

    async def submit(
        self,
        stage: Stage,  # noqa: ARG002 - what needs several calls must know when to stop
        recorder: Recorder,
        requests: Sequence[TaskRequest],
    ) -> list[str]:
        """Ids of those that were acknowledged."""
        outcomes = await recorder.submit(requests)
        return [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]

    async def _batch(self, stage: Stage, recorder: Recorder, count: int, room: asyncio.Semaphore) -> None:
        try:
            tasks = await self.submit(stage, recorder, self.requests(stage, count))
            if tasks:
                await self.act(stage, recorder, tasks)
                await until(stage.stop, recorder.wait(tasks[-1], PATIENCE))
        finally:
            room.release()


def final_states(history: History) -> dict[str, Transition]:
    """The last change of every task."""
    return {change.task: change for change in history.transitions}


async def until(stop: asyncio.Event, work: Coroutine[object, object, object]) -> None:
    """Does the work unless it is time to stop first."""
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in (doing, stopping):
            future.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await future


async def _goes_on(stop: asyncio.Event, turn: Coroutine[object, object, object]) -> bool:
    """Waits for one's turn; false once it is time to stop."""
    await until(stop, turn)
    return not stop.is_set()
