"""One attempt while this worker holds it."""

import asyncio
import time

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.context import Context, ProgressSink
from taskyard.worker.handler import Handler, Mode
from taskyard.worker.session_state import Key


class Attempt:
    """What a runner needs to run it, and the marks that decide who reports it."""

    __slots__ = (
        "begun",
        "context",
        "done",
        "handler",
        "key",
        "payload",
        "run",
        "sealed",
        "started",
        "timer",
    )

    def __init__(self, assignment: wire.Assignment, handler: Handler, progress: ProgressSink) -> None:
        self.context = Context(assignment, progress)
        self.key: Key = (self.context.task_id, self.context.attempt)
        self.handler = handler
        self.payload: bytes = assignment.payload
        self.sealed = assignment.SerializeToString() if handler.mode is Mode.PROCESS else b""
        """The assignment as it travels on to a process of its own."""
        self.started = time.perf_counter_ns()
        self.begun = False
        """Its handler has been called, or is about to be."""
        self.done = False
        """Reported, released or lost: nothing of it is wanted any more."""
        self.timer: asyncio.TimerHandle | None = None
        self.run: object = None
        """The runner's own hold on it: a task, a child process."""

    @property
    def run_nanos(self) -> int:
        """Nanoseconds since it came, or since its handler began."""
        return time.perf_counter_ns() - self.started
