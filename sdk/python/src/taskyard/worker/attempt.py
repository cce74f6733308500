"""One attempt while this worker holds it."""

import asyncio
import time
from contextvars import ContextVar

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.context import Context, ProgressSink
from taskyard.worker.handler import Handler, Mode
from taskyard.worker.session_state import Key


class Attempt:
    """What a runner needs to run it, and the marks that decide who reports it."""

    __slots__ = (
        "context",
        "done",
        "handler",
        "key",
        "payload",
        "run",
        "sealed",
        "started",
        "timer",
        "verdict",
    )

    def __init__(self, assignment: wire.Assignment, handler: Handler, progress: ProgressSink) -> None:
        self.context = Context(assignment, progress)
        self.key: Key = (self.context.task_id, self.context.attempt)
        self.handler = handler
        self.payload: bytes = assignment.payload
        self.sealed = assignment.SerializeToString() if handler.mode is Mode.PROCESS else b""
        """The assignment as it travels on to a process of its own."""
        self.started = 0
        """When its handler began, in perf_counter's nanoseconds; 0: not yet."""
        self.done = False
        """Reported, released or lost: nothing of it is wanted any more."""
        self.verdict: TaskError | None = None
        """What it ends with whatever its handler still does: it only gets a moment to clean up."""
        self.timer: asyncio.TimerHandle | None = None
        self.run: object = None
        """The runner's own hold on it: a task, a child process."""

    def begin(self) -> None:
        """Note that its handler begins."""
        self.started = time.perf_counter_ns()

    @property
    def run_nanos(self) -> int:
        """Nanoseconds since its handler began; 0 before that."""
        return time.perf_counter_ns() - self.started if self.started else 0


CURRENT: ContextVar[Attempt | None] = ContextVar("taskyard_attempt", default=None)
"""The attempt whose handler runs here; tasks and callbacks that the handler leaves behind inherit it."""
