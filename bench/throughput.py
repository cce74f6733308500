"""How many tasks a second are taken in and finished."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from bench.figure import Figure
from bench.stage import Stage
from taskyard import Client, TaskHandle, TaskRequest, TaskyardError

TYPE = "demo.noop"
PER_TASKS = 100_000


class Throughput:
    """One repetition: `tasks` no-op tasks for each of the four figures.

    `report` receives a line for each phase.
    """

    def __init__(
        self, stage: Stage, *, repetition: int, tasks: int, callers: int, report: Callable[[str], None]
    ) -> None:
        self._stage = stage
        self._tasks = tasks
        self._callers = callers
        self._report = report
        self._queue = f"bench-{repetition}"
        self._figures: list[Figure] = []

    async def run(self) -> list[Figure]:
        """The figures. Raises TaskyardError when a task is refused."""
        last = await self._singles(f"{self._queue}-single")
        async with self._stage.worker():
            await self._stage.drained(f"{self._queue}-single", last)
        queue = f"{self._queue}-batch"
        last = await self._batch(queue)
        await self._drain(queue, last)
        await self._both(f"{self._queue}-both")
        return self._figures

    async def _singles(self, queue: str) -> str:
        meter = Meter(self._stage)
        last = await submit_singly(self._stage.client, queue, self._tasks, self._callers)
        self._note(f"single submits, {self._callers} at a time", meter)
        return last

    async def _batch(self, queue: str) -> str:
        meter = Meter(self._stage)
        last = last_id(await self._stage.client.submit_many(_requests(queue, self._tasks)))
        self._note("batch submit", meter)
        return last

    async def _drain(self, queue: str, last: str) -> None:
        async with self._stage.worker() as worker:
            # From its session on, not from the process's start: Python needs half a second to import.
            meter = Meter(self._stage)
            if worker.connected_at is not None:
                meter.began = worker.connected_at.timestamp()
            meter.ended = await self._stage.drained(queue, last)
            self._note("drain", meter)

    async def _both(self, queue: str) -> None:
        async with self._stage.worker():
            meter = Meter(self._stage)
            last = last_id(await self._stage.client.submit_many(_requests(queue, self._tasks)))
            meter.ended = await self._stage.drained(queue, last)
            self._note("both at once", meter)

    def _note(self, name: str, meter: "Meter") -> None:
        used = meter.stop()
        rate = self._tasks / (meter.ended - meter.began)
        self._report(f"{name}: {rate:,.0f} tasks/s")
        self._figures.append(Figure(name, "tasks/s", (rate,)))
        for role, seconds in used.items():
            cost = seconds * PER_TASKS / self._tasks
            self._figures.append(Figure(f"{name}: {role}", "CPU s/100k", (cost,)))


class Meter:
    """Wall and processor time from its making to `stop`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._before = stage.processor_seconds()
        self.began = time.time()
        self.ended = 0.0

    def stop(self) -> Mapping[str, float]:
        """Processor seconds by role; the wall clock stops too unless it has."""
        self.ended = self.ended or time.time()
        after = self._stage.processor_seconds()
        return {name: seconds - self._before.get(name, 0.0) for name, seconds in after.items()}


async def submit_singly(client: Client, queue: str, tasks: int, callers: int) -> str:
    """Submit one task a call, as `callers` coroutines would that each wait for the answer; returns the last id."""
    requests = itertools.repeat(None, tasks)

    async def call() -> str:
        last = ""
        for _ in requests:
            last = (await client.submit(TYPE, queue=queue)).id
        return last

    # Ids rise with time.
    return max(await asyncio.gather(*(call() for _ in range(callers))))


def last_id(outcomes: Iterable[TaskHandle | TaskyardError]) -> str:
    """The id of the last task; raises the first refusal."""
    last = ""
    for outcome in outcomes:
        if isinstance(outcome, TaskyardError):
            raise outcome
        last = outcome.id
    return last


def _requests(queue: str, tasks: int) -> Iterator[TaskRequest]:
    for _ in range(tasks):
        yield TaskRequest(TYPE, queue=queue)
