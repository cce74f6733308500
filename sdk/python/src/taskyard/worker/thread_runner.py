"""Runs sync handlers in threads."""

import contextvars
import threading
from queue import SimpleQueue

from taskyard.worker.attempt import CURRENT, Attempt
from taskyard.worker.context import StopCause
from taskyard.worker.outcome import decode, encode, returned
from taskyard.worker.runner import Ledger
from taskyard.worker.span import attempt_span

_WRITTEN_OFF = "written off"


class ThreadRunner:
    """Up to `limit` threads, made as they are needed.

    The threads are daemons: a handler that never returns must not keep the worker from exiting. One whose attempt
    timed out or was lost can't be stopped either; its thread is written off, so that its slot can have a new one.
    """

    unwinds = False

    def __init__(self, limit: int, ledger: Ledger) -> None:
        self._limit = limit
        self._ledger = ledger
        self._queue: SimpleQueue[Attempt | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._queued = 0

    def start(self, attempt: Attempt) -> None:
        """Queue it, with one more thread if all are busy."""
        with self._lock:
            self._queued += 1
            self._queue.put(attempt)
            self._grow()

    def stop(self, attempt: Attempt) -> None:
        """Only the flag in its context can stop it; its thread is written off if nobody waits for it any more."""
        if attempt.context.stop_cause not in (StopCause.TIMEOUT, StopCause.LOST):
            return
        with self._lock:
            if isinstance(attempt.run, threading.Thread):
                attempt.run = _WRITTEN_OFF
                self._threads -= 1
                self._grow()

    def close(self) -> None:
        """Let idle threads end."""
        with self._lock:
            for _ in range(self._threads):
                self._queue.put(None)

    def _grow(self) -> None:
        if self._idle < self._queued and self._threads < self._limit:
            self._threads += 1
            threading.Thread(target=self._work, name="taskyard-handler", daemon=True).start()

    def _work(self) -> None:
        thread = threading.current_thread()
        while (attempt := self._take(thread)) is not None:
            if not attempt.done:
                contextvars.copy_context().run(self._perform, attempt)
            with self._lock:
                if attempt.run is _WRITTEN_OFF:
                    return
                attempt.run = None

    def _take(self, thread: threading.Thread) -> Attempt | None:
        with self._lock:
            self._idle += 1
        attempt = self._queue.get()
        with self._lock:
            self._idle -= 1
            if attempt is not None:
                self._queued -= 1
                attempt.run = thread
        return attempt

    def _perform(self, attempt: Attempt) -> None:
        CURRENT.set(attempt)
        try:
            attempt.context.raise_if_cancelled()
            attempt.begin()
            payload = decode(attempt.payload, attempt.handler.definition)
            if attempt.context.traceparent:
                with attempt_span(attempt.context):
                    value = attempt.handler.call(attempt.context, payload)
            else:
                value = attempt.handler.call(attempt.context, payload)
            result = returned(attempt.key, encode(value, attempt.handler.definition), attempt.run_nanos)
        except BaseException as error:  # whatever a handler raises is its attempt's outcome, not the thread's end
            self._ledger.fail(attempt, error)
        else:
            self._ledger.settle(attempt, result)
