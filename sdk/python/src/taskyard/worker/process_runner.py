"""Runs handlers in spawned processes: for work that needs a core of its own, or that may crash."""

import asyncio
import contextlib
import os
import threading
from multiprocessing.connection import wait
from queue import SimpleQueue

from taskyard._gen.task_pb2 import TaskError
from taskyard.worker import process_child
from taskyard.worker.attempt import Attempt
from taskyard.worker.child_process import ChildProcess
from taskyard.worker.context import ProgressSink, StopCause
from taskyard.worker.journal import logger
from taskyard.worker.outcome import PROCESS_CRASHED, failed, returned
from taskyard.worker.runner import Ledger
from taskyard.worker.span import attempt_span

_FATAL = (StopCause.TIMEOUT, StopCause.LOST)


class ProcessRunner:
    """`processes` warm children, each with a thread that minds it.

    A child that dies fails only the attempt it was running, retryably, and is replaced. An attempt that times out or is
    lost has its child killed; a cancelled one sees its flag. Programs that a handler has started end with its attempt.
    Attempts beyond the number of children wait their turn.
    """

    unwinds = True

    def __init__(self, processes: int, ledger: Ledger, progress: ProgressSink) -> None:
        self._ledger = ledger
        self._queue: SimpleQueue[Attempt | None] = SimpleQueue()
        self._minders = [Minder(self._queue, ledger, progress) for _ in range(processes)]

    def warm(self) -> None:
        """Start the children."""
        for minder in self._minders:
            minder.start()

    def start(self, attempt: Attempt) -> None:
        """Queue it for the next free child."""
        self._queue.put(attempt)

    def stop(self, attempt: Attempt) -> None:
        """Pass the stop on to the child that runs it, if one does."""
        minder = attempt.run
        if isinstance(minder, Minder):
            minder.wake()
        else:
            self._ledger.fail(attempt, asyncio.CancelledError())

    def close(self) -> None:
        """Kill the children."""
        for minder in self._minders:
            minder.closing = True
            self._queue.put(None)
            minder.wake()
        for minder in self._minders:
            minder.end()


class Minder(threading.Thread):
    """Feeds one child, listens to it, and replaces it when it dies."""

    def __init__(self, queue: SimpleQueue[Attempt | None], ledger: Ledger, progress: ProgressSink) -> None:
        super().__init__(name="taskyard-process", daemon=True)
        self.closing = False
        self._queue = queue
        self._ledger = ledger
        self._progress = progress
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._child: ChildProcess | None = None

    def wake(self) -> None:
        """Make it look at its attempt's stop cause, or at `closing`."""
        with contextlib.suppress(BlockingIOError):  # full: it is about to wake anyway
            os.write(self._wake_writer, b"!")

    def run(self) -> None:
        """Spawn the child and mind it until the runner closes."""
        self._warm()
        while (attempt := self._queue.get()) is not None and not self.closing:
            if not attempt.done:
                attempt.run = self
                self._perform(attempt)
                attempt.run = None
        self._end()

    def end(self) -> None:
        """Wait for it to end, which `closing` and a wake bring about."""
        self.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _warm(self) -> None:
        """Have a child ready for the next attempt. One that can't be had now is tried for again then."""
        try:
            self._child = ChildProcess()
        except OSError as error:
            logger.warning("can't start a process for handlers: %s", error)

    def _end(self) -> int | None:
        child, self._child = self._child, None
        return None if child is None else child.end()

    def _perform(self, attempt: Attempt) -> None:
        try:
            attempt.context.raise_if_cancelled()
            attempt.begin()
            with attempt_span(attempt.context):
                outcome = self._run_in_child(attempt)
            if outcome is not None:
                self._report(attempt, outcome)
        except BaseException as error:  # e.g. a process that can't be started; this thread has more attempts to mind
            self._ledger.fail(attempt, error)

    def _run_in_child(self, attempt: Attempt) -> process_child.Message | None:
        if self._child is None or not self._child.send(_job(attempt)):
            # It died while idle; that is not the task's fault.
            self._end()
            self._child = ChildProcess()
            self._child.send(_job(attempt))
        return self._listen(attempt, self._child)

    def _listen(self, attempt: Attempt, child: ChildProcess) -> process_child.Message | None:
        """The attempt's last message; None if the runner closes."""
        told = False
        while True:
            ready = wait([child.connection, child.sentinel, self._wake_reader])
            if child.connection in ready:
                message = child.receive()
                if message is None:
                    return self._crashed()
                if message[0] != process_child.PROGRESS:
                    return self._last(message)
                self._progress(attempt.key, message[1], message[2])
            elif child.sentinel in ready:
                return self._crashed()
            else:
                os.read(self._wake_reader, 64)
                cause = attempt.context.stop_cause
                if self.closing:
                    self._end()
                    return None
                if cause in _FATAL:
                    self._replace()
                    return (process_child.STOPPED,)
                if cause is not None and not told:
                    told = True
                    child.send((process_child.STOP, int(cause)))

    def _last(self, message: process_child.Message) -> process_child.Message:
        kind, *told, alone = message
        if not alone:
            # Programs that the handler left must not run beside the next attempt, and its module may count on them.
            self._replace()
        return kind, *told

    def _replace(self) -> int | None:
        code = self._end()
        self._warm()
        return code

    def _crashed(self) -> process_child.Message:
        message = f"the process running the handler died with exit code {self._replace()}"
        error = TaskError(type=PROCESS_CRASHED, message=message, retryable=True)
        return process_child.FAILED, error.SerializeToString()

    def _report(self, attempt: Attempt, outcome: process_child.Message) -> None:
        kind, nanos = outcome[0], attempt.run_nanos
        if kind == process_child.RETURNED:
            self._ledger.settle(attempt, returned(attempt.key, outcome[1], nanos))
        elif kind == process_child.FAILED:
            error = TaskError.FromString(outcome[1])
            self._ledger.settle(attempt, failed(attempt.key, error, nanos))
        else:
            self._ledger.fail(attempt, asyncio.CancelledError())


def _job(attempt: Attempt) -> process_child.Message:
    handler = attempt.handler
    return (
        process_child.RUN,
        handler.function,
        handler.takes_context,
        handler.non_retryable,
        handler.definition,
        attempt.sealed,
    )
