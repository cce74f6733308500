"""Clients: they submit what the plan says, again where they got no answer, and note what they were told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from random import Random
from typing import Any, Protocol, TypeVar

from chaos.checks.idempotency import CONFLICT
from chaos.history.events import Call, Phase, Read, Submit, digest
from chaos.history.record import History
from simulation.chance import EPOCH
from simulation.loop import Process, VirtualLoop
from simulation.plan import Job, Plan
from taskyard_core.domain import submission
from taskyard_core.domain.task import RetryPolicy, Task, TaskSpec, TaskState
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler.api.failures import Failure, Reason
from taskyard_scheduler.api.submissions import Accepted, AcceptedId, SubmissionDesk
from taskyard_scheduler.api.tasks import Tasks
from taskyard_scheduler.meaning import canonical

Answer = TypeVar("Answer")

_DEADLINE = 5.0
_PAUSE = 0.3
_READS = 5


class Unreached(Exception):
    """Nobody took the call."""


class Unanswered(Exception):
    """Somebody may have taken the call; nobody will ever say."""


class Api(Protocol):
    """A scheduler as clients reach it."""

    process: Process
    desk: SubmissionDesk
    tasks: Tasks


class Gateway:
    """Calls of schedulers over a network."""

    def __init__(self, loop: VirtualLoop, random: Random, delay: Callable[[], float], apis: dict[str, Api]) -> None:
        self._loop = loop
        self._random = random
        self._delay = delay
        self._apis = apis
        self._underway: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether schedulers still work on calls, also on those that nobody waits for any more."""
        return bool(self._underway)

    async def call(self, work: Callable[[Api], Awaitable[Answer]]) -> Answer:
        """Have any scheduler do it. Raises Unreached, Unanswered, and what the scheduler answers with."""
        api = self._apis[self._random.choice(sorted(self._apis))]
        await asyncio.sleep(self._delay())
        if not api.process.alive:
            raise Unreached
        answer: asyncio.Future[Answer] = self._loop.create_future()
        api.process.at_death.append(lambda: self._send(answer, Unanswered(), None))
        process = api.process
        serving = process.start(self._serve(work, api, answer))
        self._underway.add(serving)
        serving.add_done_callback(self._underway.discard)
        process.at_death.append(lambda: self._underway.discard(serving))
        self._loop.after(_DEADLINE, _settle, answer, Unanswered(), None)
        return await answer

    async def _serve(
        self, work: Callable[[Api], Awaitable[Answer]], api: Api, answer: "asyncio.Future[Answer]"
    ) -> None:
        try:
            self._send(answer, None, await work(api))
        except (Failure, StoreUnavailable) as error:
            self._send(answer, error, None)

    def _send(self, answer: "asyncio.Future[Any]", error: Exception | None, result: Any) -> None:
        self._loop.after(self._delay(), _settle, answer, error, result)


def _settle(answer: "asyncio.Future[Any]", error: Exception | None, result: Any) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


class Clients:
    """All of them. `run` returns when each has done what it wanted to."""

    def __init__(self, plan: Plan, gateway: Gateway, history: History) -> None:
        self._plan = plan
        self._gateway = gateway
        self._history = history
        self._loop = asyncio.get_running_loop()
        self._quiet = asyncio.Event()
        self._known: dict[int, asyncio.Future[str]] = {job.number: self._loop.create_future() for job in plan.jobs}

    async def run(self) -> None:
        """Work the plan off."""
        async with asyncio.TaskGroup() as group:
            for job in self._plan.jobs:
                group.create_task(self._own(job))
                for at in job.again_at:
                    # Somebody else's client, which writes the same in its own way.
                    group.create_task(self._later(at, self._submit, job, _spec(job, b"%d.0")))
                if job.conflict_at is not None:
                    group.create_task(self._later(job.conflict_at, self._submit, job, _spec(job, b"[%d]")))
                if job.cancel_at is not None:
                    group.create_task(self._later(job.cancel_at, self._cancel, job))

    async def final_reads(self) -> None:
        """Look at every task once more."""
        async with asyncio.TaskGroup() as group:
            for known in self._known.values():
                if known.done() and not known.cancelled():
                    group.create_task(self._read(known.result()))

    def look(self) -> None:
        """Nothing will happen any more unless they make it: whoever meant to look at a task later does so now."""
        self._quiet.set()
        self._quiet.clear()

    async def _later(self, at: float, work: Callable[..., Awaitable[object]], *args: object) -> None:
        await asyncio.sleep(max(0.0, at - self._loop.time()))
        await work(*args)

    async def _own(self, job: Job) -> None:
        """Submit until it is known to be accepted, then follow it."""
        await asyncio.sleep(job.at)
        while True:
            phase = await self._submit(job, _spec(job))
            if phase is Phase.OK:
                break
            if self._history.submits[-1].error == CONFLICT:
                # The other request under the key came first.
                self._known[job.number].cancel()
                return
            if phase is Phase.UNKNOWN and job.key is None:
                # Submitted again it could be there twice.
                self._known[job.number].cancel()
                return
            await asyncio.sleep(_PAUSE)
        await self._follow(job)

    async def _follow(self, job: Job) -> None:
        task_id, pause = await self._known[job.number], _PAUSE
        for _ in range(_READS):
            await self._sleep(pause)
            pause *= 2.5
            task = await self._read(task_id)
            if task is None or not task.state.terminal:
                continue
            if task.state is TaskState.FAILED and job.redriven:
                await self._call("redrive", task_id, lambda api: api.tasks.redrive(task_id))
            return

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until there is nothing to wait for."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return

    async def _submit(self, job: Job, spec: TaskSpec) -> Phase:
        invoked = self._loop.time()
        task, deduplicated, error = None, False, None
        try:
            (outcome,) = await self._gateway.call(lambda api: api.desk.submit([spec]))
        except Unreached:
            phase, error = Phase.FAILED, "UNREACHED"
        except (Unanswered, StoreUnavailable) as raised:
            phase, error = Phase.UNKNOWN, type(raised).__name__
        else:
            if isinstance(outcome, Accepted):
                phase, task, deduplicated = Phase.OK, outcome.task.id, outcome.deduplicated
                if not self._known[job.number].done():
                    self._known[job.number].set_result(task)
            else:
                # Only answers to many tasks leave some of them out.
                assert not isinstance(outcome, AcceptedId)
                phase, task = Phase.FAILED, outcome.metadata.get("task_id")
                error = CONFLICT if outcome.reason is Reason.IDEMPOTENCY_CONFLICT else outcome.reason.value
        self._history.submits.append(
            Submit(
                invoked=invoked,
                returned=self._loop.time(),
                client=f"client-{job.number}",
                workload="simulation",
                namespace=spec.namespace,
                key=spec.idempotency_key,
                request=digest(canonical(spec.payload)),
                phase=phase,
                task=task,
                deduplicated=deduplicated,
                error=error,
                queue=spec.queue,
                type=spec.type,
                selector=spec.selector,
                priority=spec.priority,
                delay=spec.delay,
                max_attempts=spec.retry.max_attempts if spec.retry else None,
            )
        )
        return phase

    async def _cancel(self, job: Job) -> None:
        known = self._known[job.number]
        if not known.done() or known.cancelled():
            return
        task_id = known.result()
        while await self._call("cancel", task_id, lambda api: api.tasks.cancel(task_id)) is not Phase.OK:
            task = await self._read(task_id)
            if task is not None and task.state.terminal:
                return
            await asyncio.sleep(_PAUSE)

    async def _call(self, verb: str, task_id: str, work: Callable[[Api], Awaitable[Task]]) -> Phase:
        invoked = self._loop.time()
        state, error = None, None
        try:
            task = await self._gateway.call(work)
        except Unreached:
            phase, error = Phase.FAILED, "UNREACHED"
        except Failure as failure:
            phase, error = _phase(failure), failure.reason.value
        except (Unanswered, StoreUnavailable) as raised:
            phase, error = Phase.UNKNOWN, type(raised).__name__
        else:
            phase, state = Phase.OK, task.state.value
        now = self._loop.time()
        self._history.calls.append(Call(invoked, now, "clients", verb, task_id, phase, state, error))
        return phase

    async def _read(self, task_id: str) -> Task | None:
        invoked = self._loop.time()
        try:
            task: Task | None = await self._gateway.call(lambda api: api.tasks.get(task_id))
        except (Unreached, Unanswered, StoreUnavailable):
            return None
        except Failure as failure:
            if failure.reason is not Reason.NOT_FOUND:
                return None
            task = None
        state, attempt = (task.state.value, task.attempt) if task else (None, 0)
        self._history.reads.append(Read(invoked, self._loop.time(), "clients", task_id, state, attempt))
        return task


def _phase(failure: Failure) -> Phase:
    return Phase.UNKNOWN if failure.reason in (Reason.UNAVAILABLE, Reason.INTERNAL) else Phase.FAILED


def _spec(job: Job, written: bytes = b"%d") -> TaskSpec:
    expires = None
    if job.expires_in is not None:
        expires = datetime.fromtimestamp(EPOCH + job.at + job.expires_in, UTC)
    spec = submission.build(
        type=job.type,
        payload=written % job.number,
        queue=job.queue,
        priority=job.priority,
        selector=job.selector,
        idempotency_key=job.key or "",
        delay=job.delay,
        expires_at=expires,
        timeout=job.timeout,
        retry=RetryPolicy(max_attempts=job.max_attempts, initial_backoff=0.2, max_backoff=1.0, jitter=0.5),
    )
    return replace(spec, timeout=inf) if job.poisoned else spec
