"""Plays a cluster to one worker and one task."""

import asyncio
import contextvars
import threading
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, overload

from taskyard import _messages, _specs
from taskyard._gen import task_pb2
from taskyard._gen import worker_service_pb2 as wire
from taskyard.definition import TaskDefinition
from taskyard.models import AttemptOutcome, Duration, RetryPolicy, TaskError, TaskRequest
from taskyard.testing.clock import SkippingLoop
from taskyard.testing.policy import backoff
from taskyard.testing.run import AttemptRun, ProgressReport, TaskRun
from taskyard.worker.attempt import Attempt
from taskyard.worker.attempts import Attempts
from taskyard.worker.event_loop import run_through
from taskyard.worker.handler import Mode
from taskyard.worker.outcome import TIMEOUT
from taskyard.worker.runners import make_runners
from taskyard.worker.session_state import Key
from taskyard.worker.worker import Worker

In = TypeVar("In")
Out = TypeVar("Out")

CANCEL_PATIENCE = 30.0
"""Seconds after which a cluster gives up a handler that ignores its cancel."""

_UNASKED = TaskError(
    "CANCELLED_UNASKED", "the handler stopped as if cancelled, and nobody had asked for that", "", True
)


@overload
def run_task(
    worker: Worker,
    task: TaskDefinition[In, Out],
    payload: In,
    *,
    timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    cancel_after: Duration | None = None,
) -> TaskRun[Out]: ...
@overload
def run_task(
    worker: Worker,
    task: str,
    payload: Any = None,
    *,
    timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    cancel_after: Duration | None = None,
) -> TaskRun[Any]: ...
def run_task(
    worker: Worker,
    task: Any,
    payload: Any = None,
    *,
    timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    cancel_after: Duration | None = None,
) -> TaskRun[Any]:
    """Run one task to its end with the worker's handler, and tell what came of it. For sync and async tests alike.

    Attempts, retries with their backoff, timeouts and cancels are those of a cluster. Time is skipped while the handler
    only waits for it: an hour takes no time. While sockets are open or threads work, such as those of handlers that are
    no coroutines, the clock is the real one. `task` is a definition or a type's name, `timeout` and `retry` are what
    they are for `submit`, `cancel_after` says when somebody cancels the task.

    The handler runs in a thread and an event loop of its own.
    """
    options: dict[str, Any] = {} if isinstance(task, str) else {**task.options}
    options |= {name: value for name, value in (("timeout", timeout), ("retry", retry)) if value is not None}
    request = TaskRequest(task, payload, **options) if isinstance(task, str) else task.request(payload, **options)
    spec = _specs.task_spec(request, "default", "")
    if request.type not in worker.types:
        raise ValueError(f"the worker has no handler for {request.type!r}, but for {', '.join(worker.types)}")
    play = _Play(worker, spec, request.retry or RetryPolicy())
    cancelled = None if cancel_after is None else _specs.seconds("cancel_after", cancel_after)
    _aside(lambda: run_through(play.perform(cancelled), play.escaped, lambda: play.loop))
    return play.told((lambda value: value) if isinstance(task, str) else task.load_result)


def _aside(call: Callable[[], None]) -> None:
    """Call it in a thread: where the test is a coroutine, this one has an event loop that runs."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="taskyard-testing")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


class _Play:
    """The cluster of one task: hands out its attempts, hears what comes of them, and decides what follows."""

    def __init__(self, worker: Worker, spec: task_pb2.TaskSpec, policy: RetryPolicy) -> None:
        self.loop = SkippingLoop()
        self._handler = worker._handlers[spec.type]
        self._attempts = Attempts(self.loop, {spec.type: self._handler}, self)
        self.loop.occupied = lambda: len(self._attempts) > 0 and self._handler.mode is not Mode.LOOP
        self._spec = spec
        self._policy = policy
        self._task = task_pb2.Task(
            id=str(uuid.uuid4()),
            type=spec.type,
            payload=spec.payload,
            queue=spec.queue or "default",
            namespace="default",
        )
        self._runs: list[AttemptRun] = []
        self._progress: list[ProgressReport] = []
        self._result: asyncio.Future[wire.TaskResult | None] | None = None
        self._cancel = asyncio.Event()
        self._ended = 0.0

    def escaped(self, error: BaseException, attempt: Attempt | None) -> None:
        """End the attempt whose code ended the event loop."""
        if attempt is None:
            raise error
        self._attempts.break_off(attempt, error)

    async def perform(self, cancel_after: float | None) -> None:
        """Run the task to its end."""
        self._attempts.runners = make_runners(
            self.loop, self._attempts, self.report_progress, modes={self._handler.mode}, slots=1, processes=1
        )
        if cancel_after is not None:
            self.loop.call_later(cancel_after, self._ask_to_cancel)
        try:
            while (wait := await self._attempt()) is not None and not await self._cancelled_within(wait):
                pass
        finally:
            self._attempts.close()
        self._ended = self.loop.time()

    async def _attempt(self) -> float | None:
        """Run one attempt. Seconds until the next one; None: the task is over."""
        self._task.attempt += 1
        self._progress = []
        self._result = self.loop.create_future()
        started = self.loop.time()
        self._attempts.start([self._assignment()])
        result = await self._result
        self._result = None
        outcome, error = _judged(result, asked=self._task.cancel_requested)
        run = AttemptRun(self._task.attempt, outcome, error, tuple(self._progress), started, self.loop.time())
        self._runs.append(run)
        return self._decide(run, b"" if result is None else result.result)

    def _decide(self, run: AttemptRun, result: bytes) -> float | None:
        task = self._task
        if run.outcome is AttemptOutcome.SUCCEEDED:
            task.state, task.result = task_pb2.TASK_STATE_SUCCEEDED, result
            task.ClearField("error")
            return None
        if run.error is not None:
            task.failures += 1
            task.error.CopyFrom(_message(run.error))
        if task.cancel_requested:
            task.state = task_pb2.TASK_STATE_CANCELLED
            return None
        wait = backoff(self._policy, task.failures) if run.error is None or run.error.retryable else None
        if wait is None:
            task.state = task_pb2.TASK_STATE_FAILED
        return wait

    def _assignment(self) -> wire.Assignment:
        task = self._task
        assignment = wire.Assignment(
            task_id=task.id,
            attempt=task.attempt,
            type=task.type,
            queue=task.queue,
            payload=task.payload,
            failures=task.failures,
        )
        assignment.created_at.GetCurrentTime()
        if self._spec.HasField("timeout"):
            assignment.timeout.CopyFrom(self._spec.timeout)
        return assignment

    async def _cancelled_within(self, seconds: float) -> bool:
        """Whether the task is cancelled while it waits for its next attempt."""
        try:
            async with asyncio.timeout(seconds):
                await self._cancel.wait()
        except TimeoutError:
            return False
        self._task.state = task_pb2.TASK_STATE_CANCELLED
        return True

    def _ask_to_cancel(self) -> None:
        self._task.cancel_requested = True
        self._cancel.set()
        if self._result is not None:
            self._stop(wire.STOP_REASON_CANCELLED)
            self.loop.call_later(CANCEL_PATIENCE, self._give_up, self._result)

    def _give_up(self, result: "asyncio.Future[wire.TaskResult | None]") -> None:
        if not result.done():
            self._stop(wire.STOP_REASON_LOST)
            result.set_result(None)

    def _stop(self, reason: "wire.StopReason.ValueType") -> None:
        self._attempts.stop([((self._task.id, self._task.attempt), reason)])

    def told(self, load: Callable[[Any], Any]) -> TaskRun[Any]:
        """What came of it."""
        return TaskRun(_messages.task(self._task), tuple(self._runs), self._ended, load)

    # What attempts report, from any thread

    def finish(self, result: wire.TaskResult) -> None:
        """Take a result."""
        self.loop.call_soon_threadsafe(self._take, result)

    def release(self, key: Key) -> None:
        """Nothing is handed back: nobody shuts down."""

    def report_progress(self, key: Key, fraction: float, message: str) -> None:  # noqa: ARG002 - there is one attempt
        """Note how far it has come."""
        self._progress.append(ProgressReport(fraction, message, self.loop.time()))

    def _take(self, result: wire.TaskResult) -> None:
        if self._result is not None and not self._result.done():
            self._result.set_result(result)


def _judged(result: wire.TaskResult | None, *, asked: bool) -> tuple[AttemptOutcome, TaskError | None]:
    """How an attempt ended; no result is that of a handler which ignored its cancel."""
    if result is None or (result.cancelled and asked):
        return AttemptOutcome.CANCELLED, None
    if result.cancelled:
        return AttemptOutcome.FAILED, _UNASKED
    if not result.HasField("error"):
        return AttemptOutcome.SUCCEEDED, None
    error = TaskError(result.error.type, result.error.message, result.error.stack, result.error.retryable)
    return AttemptOutcome.TIMED_OUT if error.type == TIMEOUT else AttemptOutcome.FAILED, error


def _message(error: TaskError) -> task_pb2.TaskError:
    return task_pb2.TaskError(type=error.type, message=error.message, stack=error.stack, retryable=error.retryable)
