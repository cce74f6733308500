"""The attempts that this worker runs, from assignment to settled result."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.attempt import Attempt
from taskyard.worker.context import StopCause
from taskyard.worker.handler import Handler, Mode
from taskyard.worker.outcome import (
    NO_HANDLER,
    TIMEOUT,
    NonRetryable,
    cancelled,
    describe,
    failed,
    is_cancellation,
)
from taskyard.worker.runner import Runner
from taskyard.worker.session_state import Key

logger = logging.getLogger("taskyard.worker")

UNWIND_TIME = 5.0
"""Seconds an async handler has to clean up after its timeout before the timeout is reported without it."""

_CAUSES = {
    wire.STOP_REASON_CANCELLED: StopCause.CANCELLED,
    wire.STOP_REASON_LOST: StopCause.LOST,
    wire.STOP_REASON_TIMEOUT: StopCause.TIMEOUT,
}

_OUTCOMES = {"result": "succeeded", "error": "failed", "cancelled": "cancelled", None: "none"}
_COUNTED = ("succeeded", "failed", "cancelled", "timed_out", "released")


class Outgoing(Protocol):
    """The session as attempts see it. Callable from any thread."""

    def finish(self, result: wire.TaskResult) -> None:
        """Bring a result home."""

    def release(self, key: Key) -> None:
        """Hand an attempt back."""

    def report_progress(self, key: Key, fraction: float, message: str) -> None:
        """Tell how far a running attempt has come."""


class Attempts:
    """Starts and stops attempts on the event loop; takes what came of them from any thread.

    Whoever takes an attempt out of `_held` reports it, so nothing is reported twice.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handlers: Mapping[str, Handler], outgoing: Outgoing) -> None:
        self._loop = loop
        self._handlers = handlers
        self._outgoing = outgoing
        self._held: dict[Key, Attempt] = {}
        self.runners: dict[Mode, Runner] = {}
        # From 0: a counter that appears with its first burst does not show it as an increase.
        self.outcomes: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._counting = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    # On the event loop

    def start(self, assignments: Iterable[wire.Assignment]) -> None:
        """Run a frame's assignments."""
        for assignment in assignments:
            handler = self._handlers.get(assignment.type)
            if handler is None:
                self._refuse(assignment)
                continue
            attempt = Attempt(assignment, handler, self._outgoing.report_progress)
            self._held[attempt.key] = attempt
            if assignment.HasField("timeout"):
                limit = assignment.timeout.seconds + assignment.timeout.nanos / 1e9
                attempt.timer = self._loop.call_later(limit, self._time_out, attempt)
            self.runners[handler.mode].start(attempt)

    def _refuse(self, assignment: wire.Assignment) -> None:
        error = TaskError(type=NO_HANDLER, message=f"no handler for {assignment.type!r} here", retryable=True)
        self._outgoing.finish(failed((assignment.task_id, assignment.attempt), error, 0))

    def stop(self, stops: Iterable[tuple[Key, "wire.StopReason.ValueType"]]) -> None:
        """Stop attempts as the dispatcher asks."""
        for key, reason in stops:
            attempt = self._held.get(key)
            if attempt is None:
                continue
            cause = _CAUSES.get(reason, StopCause.CANCELLED)
            logger.info(
                "task %s attempt %d is to stop: %s",
                *key,
                cause.name,
                extra={"task_id": key[0], "attempt": key[1]},
            )
            if cause is StopCause.TIMEOUT:
                self._time_out(attempt)
                continue
            if cause is StopCause.LOST:
                self._take(attempt)
                self._count("lost")
            self._tell(attempt, cause)

    def shut_down(self) -> None:
        """Tell all handlers to stop because the worker does."""
        for attempt in list(self._held.values()):
            self._tell(attempt, StopCause.SHUTDOWN)

    def release(self) -> None:
        """Hand back what still runs."""
        for attempt in list(self._held.values()):
            self._release(attempt)

    def close(self) -> None:
        """Let go of threads and processes."""
        for runner in self.runners.values():
            runner.close()

    def _tell(self, attempt: Attempt, cause: StopCause) -> None:
        known = attempt.context.stop_cause
        if known is not None and cause <= known:
            return  # told already: a second cancellation would interrupt the cleaning up
        attempt.context._stop(cause)
        self.runners[attempt.handler.mode].stop(attempt)

    def _time_out(self, attempt: Attempt) -> None:
        if attempt.done or attempt.context.stop_cause is StopCause.TIMEOUT:
            return
        if attempt.timer is not None:
            attempt.timer.cancel()
        self._tell(attempt, StopCause.TIMEOUT)
        if self.runners[attempt.handler.mode].unwinds:
            # Its next attempt should not overlap with its cleaning up, but does not wait for ever.
            attempt.timer = self._loop.call_later(UNWIND_TIME, self._report_timeout, attempt)
        else:
            self._report_timeout(attempt)

    # From any thread

    def settle(self, attempt: Attempt, result: wire.TaskResult) -> None:
        """Report a result, unless the attempt is done; after a timeout only the timeout counts."""
        if attempt.context.stop_cause is StopCause.TIMEOUT:
            self._report_timeout(attempt)
        elif self._take(attempt):
            self._count(_OUTCOMES[result.WhichOneof("outcome")])
            self._outgoing.finish(result)

    def fail(self, attempt: Attempt, error: BaseException) -> None:
        """Report what an exception means for this attempt, given what it was told."""
        cause = attempt.context.stop_cause
        if cause is StopCause.SHUTDOWN and not isinstance(error, NonRetryable):
            # We interrupted it: whatever it raised for that must not cost the task a failure.
            self._release(attempt)
        elif cause is not None and is_cancellation(error):
            self.settle(attempt, cancelled(attempt.key, attempt.run_nanos))
        else:
            described = describe(error, attempt.handler.non_retryable)
            self._log_failure(attempt, described)
            self.settle(attempt, failed(attempt.key, described, attempt.run_nanos))

    def _report_timeout(self, attempt: Attempt) -> None:
        if self._take(attempt):
            self._count("timed_out")
            nanos = attempt.run_nanos
            message = f"the attempt ran out of time after {nanos / 1e9:.3f} s"
            error = TaskError(type=TIMEOUT, message=message, retryable=True)
            self._log_failure(attempt, error)
            self._outgoing.finish(failed(attempt.key, error, nanos))

    def _release(self, attempt: Attempt) -> None:
        if self._take(attempt):
            self._count("released")
            self._outgoing.release(attempt.key)

    def _count(self, outcome: str) -> None:
        with self._counting:
            self.outcomes[outcome] += 1

    def _take(self, attempt: Attempt) -> bool:
        """Whether the attempt was still to be reported; it no longer is."""
        if self._held.pop(attempt.key, None) is not attempt:
            return False
        attempt.done = True
        if (timer := attempt.timer) is not None:
            # Timers belong to the loop's thread.
            self._loop.call_soon_threadsafe(timer.cancel)
        return True

    def _log_failure(self, attempt: Attempt, error: TaskError) -> None:
        if not attempt.done or error.type == TIMEOUT:
            logger.warning(
                "task %s attempt %d (%s) failed: %s: %s",
                *attempt.key,
                attempt.context.type,
                error.type,
                error.message,
                extra={"task_id": attempt.key[0], "attempt": attempt.key[1]},
            )
