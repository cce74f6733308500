"""The attempts that this worker runs, from assignment to settled result."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.attempt import Attempt
from taskyard.worker.context import StopCause
from taskyard.worker.event_loop import culprit, ending_for
from taskyard.worker.handler import Handler, Mode
from taskyard.worker.journal import logger
from taskyard.worker.outcome import (
    NO_HANDLER,
    TIMEOUT,
    cancelled,
    describe,
    failed,
    is_cancellation,
    is_final,
)
from taskyard.worker.runner import Runner
from taskyard.worker.session_state import Key

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
        self.ending: Callable[[], bool] = lambda: False
        """Whether the event loop is being wound up, by whoever runs it."""
        # From 0: a counter that appears with its first burst does not show it as an increase.
        self.outcomes: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._counting = threading.Lock()
        self._pid = os.getpid()

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
            try:
                self._begin(attempt, assignment)
            except Exception as error:  # e.g. of a task factory that a handler has set on the event loop
                self.fail(attempt, error)

    def _begin(self, attempt: Attempt, assignment: wire.Assignment) -> None:
        if assignment.HasField("timeout"):
            limit = assignment.timeout.seconds + assignment.timeout.nanos / 1e9
            attempt.timer = self._loop.call_later(limit, self._time_out, attempt)
        self.runners[attempt.handler.mode].start(attempt)

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
        """Hand back what still runs, but for what is decided already."""
        for attempt in list(self._held.values()):
            self._give_up(attempt)

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
        if attempt.done or attempt.verdict is not None:
            return
        message = f"the attempt ran out of time after {attempt.run_nanos / 1e9:.3f} s"
        attempt.verdict = TaskError(type=TIMEOUT, message=message, retryable=True)
        if attempt.timer is not None:
            attempt.timer.cancel()
        self._tell(attempt, StopCause.TIMEOUT)
        self._conclude_soon(attempt)

    def break_off(self, attempt: Attempt, error: BaseException) -> None:
        """End an attempt for what code of its handler raised where the handler itself may never hear of it."""
        if attempt.done or attempt.verdict is not None:
            return
        attempt.verdict = describe(error, attempt.handler.non_retryable)
        self.runners[attempt.handler.mode].stop(attempt)
        self._conclude_soon(attempt)

    def _conclude_soon(self, attempt: Attempt) -> None:
        if self.runners[attempt.handler.mode].unwinds:
            # Its next attempt should not overlap with its cleaning up, but does not wait for ever.
            attempt.timer = self._loop.call_later(UNWIND_TIME, self._conclude, attempt)
        else:
            self._conclude(attempt)

    # From any thread

    def settle(self, attempt: Attempt, result: wire.TaskResult) -> None:
        """Report a result, unless the attempt is done or something else was decided about it."""
        if attempt.verdict is not None:
            self._conclude(attempt)
        elif self._take(attempt):
            self._count(_OUTCOMES[result.WhichOneof("outcome")])
            self._outgoing.finish(result)

    def fail(self, attempt: Attempt, error: BaseException) -> None:
        """Report what an exception means for this attempt, given what it was told."""
        cause = attempt.context.stop_cause
        if attempt.verdict is not None:
            self._conclude(attempt)
        elif cause is StopCause.SHUTDOWN and not is_final(error):
            # We interrupted it: whatever it raised for that must not cost the task a failure.
            self._release(attempt)
        elif not is_cancellation(error):
            self._fail(attempt, error)
        elif cause is not None:
            self.settle(attempt, cancelled(attempt.key, attempt.run_nanos))
        elif self.ending():
            self._loop.call_soon(self._abandon, attempt)
        else:
            self._fail(attempt, error)

    def _fail(self, attempt: Attempt, error: BaseException) -> None:
        attempt.verdict = describe(error, attempt.handler.non_retryable)
        self._conclude(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        """The event loop ends under the attempt: hand it back, unless it is the one that ends it."""
        self.blame()
        self._give_up(attempt)

    def blame(self) -> None:
        """Break off the attempt for whose exception the event loop is being wound up. In a callback of the loop."""
        error = ending_for()
        attempt = culprit(error)
        if error is not None and attempt is not None:
            self.break_off(attempt, error)

    def _give_up(self, attempt: Attempt) -> None:
        if attempt.verdict is not None:
            self._conclude(attempt)
        else:
            self._release(attempt)

    def _conclude(self, attempt: Attempt) -> None:
        """Report what was decided."""
        error = attempt.verdict
        if error is not None and self._take(attempt):
            self._count("timed_out" if error.type == TIMEOUT else "failed")
            self._outgoing.finish(failed(attempt.key, error, attempt.run_nanos))
            _log_failure(attempt, error)

    def _release(self, attempt: Attempt) -> None:
        if self._take(attempt):
            self._count("released")
            self._outgoing.release(attempt.key)

    def _count(self, outcome: str) -> None:
        with self._counting:
            self.outcomes[outcome] += 1

    def _take(self, attempt: Attempt) -> bool:
        """Whether the attempt was still to be reported; it no longer is."""
        if os.getpid() != self._pid:
            os._exit(0)  # forked by a handler, which returned in the child too: the attempt is its parent's to report
        if self._held.pop(attempt.key, None) is not attempt:
            return False
        attempt.done = True
        if (timer := attempt.timer) is not None:
            # Timers belong to the loop's thread.
            self._loop.call_soon_threadsafe(timer.cancel)
        return True


def _log_failure(attempt: Attempt, error: TaskError) -> None:
    logger.warning(
        "task %s attempt %d (%s) failed: %s: %s",
        *attempt.key,
        attempt.context.type,
        error.type,
        error.message,
        extra={"task_id": attempt.key[0], "attempt": attempt.key[1], "type": attempt.context.type},
    )
