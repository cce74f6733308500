"""The run itself: submit, follow, kill, and look afterwards at what became of each task."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from examples.word_count.kill import LeaderKill, WorkerKill, kill_leader, kill_worker
from examples.word_count.plan import QUEUE, Plan
from examples.word_count.progress import Progress
from taskyard import Attempt, Client, Queue, Task, TaskFilter, TaskHandle

LOOK_EVERY_SECONDS = 0.05
TASKS_AT_ONCE = 100
QUESTIONS_AT_ONCE = 20


@dataclass
class Outcome:
    """Everything that was seen."""

    deduplicated: int = 0
    refused: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    attempts: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    worker_kill: WorkerKill | None = None
    leader_kill: LeaderKill | None = None
    seconds: float = 0.0
    rate_before_kill: float = 0.0
    """Tasks per second until the worker was killed."""


class Run:
    """One run of a plan on a cluster, for one call of `run`."""

    def __init__(self, plan: Plan, client: Client, rest: str, progress: Progress) -> None:
        self._plan = plan
        self._client = client
        self._rest = rest
        self._progress = progress
        self._began = 0.0
        self._ids: frozenset[str] = frozenset()
        self._done = 0
        self._third = asyncio.Event()
        self._half = asyncio.Event()
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """All of it. Raises TaskyardError or OSError when the cluster can't be reached any more."""
        self._began = time.monotonic()
        self._take(await self._client.submit_many(self._plan.requests))
        try:
            await self._work()
            await self._read_tasks()
            await self._read_attempts()
        except ExceptionGroup as failed:
            # Whatever went wrong, it went wrong for all; one of them says it.
            raise failed.exceptions[0] from failed
        return self.outcome

    def _take(self, submitted: Sequence[TaskHandle | Exception]) -> None:
        outcome = self.outcome
        handles = [handle for handle in submitted if isinstance(handle, TaskHandle)]
        outcome.refused = [str(error) for error in submitted if isinstance(error, Exception)]
        outcome.deduplicated = sum(handle.deduplicated for handle in handles)
        self._ids = frozenset(handle.id for handle in handles)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_worker())
            group.create_task(self._kill_leader())
            group.create_task(self._follow())

    async def _follow(self) -> None:
        # Counts, not results: they weigh megabytes, and to take them in would be most of this process's work.
        while not self._over():
            self._see(self._unfinished(await self._client.queues()))
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _see(self, unfinished: int) -> None:
        total = len(self._ids)
        self._done = total - unfinished
        self.outcome.seconds = time.monotonic() - self._began
        self._progress.show(self._done)
        if self._done * 3 >= total:
            self._third.set()
        if self._done * 2 >= total:
            self._half.set()

    @staticmethod
    def _unfinished(queues: Sequence[Queue]) -> int:
        return sum(queue.scheduled + queue.queued + queue.running for queue in queues if queue.name == QUEUE)

    def _over(self) -> bool:
        return self._done == len(self._ids)

    async def _kill_worker(self) -> None:
        await self._third.wait()
        self.outcome.rate_before_kill = self._done / (time.monotonic() - self._began)
        kill = self.outcome.worker_kill = await kill_worker(self._client, self._over)
        if kill is not None:
            self._progress.note(f"killed {kill.name} (pid {kill.pid}) while it held {kill.held} tasks")

    async def _kill_leader(self) -> None:
        await self._half.wait()
        self._progress.note("killing the leader")
        kill = self.outcome.leader_kill = await kill_leader(self._rest)
        self._progress.note(f"killed {kill.pod} (pid {kill.pid}); after {kill.seconds:.1f} s {kill.next_pod} leads")

    async def _read_tasks(self) -> None:
        found = self._client.list(TaskFilter(queue=QUEUE), page_size=TASKS_AT_ONCE)
        self.outcome.tasks = {task.id: task async for task in found}

    async def _read_attempts(self) -> None:
        few = asyncio.Semaphore(QUESTIONS_AT_ONCE)

        async def read(task_id: str) -> None:
            async with few:
                self.outcome.attempts[task_id] = await self._client.attempts(task_id)

        async with asyncio.TaskGroup() as group:
            for task_id in self._ids:
                group.create_task(read(task_id))


def added_up(tasks: Sequence[Task]) -> Counter[str]:
    """The words of all tasks' results."""
    counts: Counter[str] = Counter()
    for task in tasks:
        if task.result is not None:
            counts.update(task.result["counts"])
    return counts
