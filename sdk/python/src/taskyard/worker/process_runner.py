"""Runs handlers in spawned processes: for work that needs a core of its own, or that may crash."""

import asyncio
import contextlib
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue

from taskyard._gen.task_pb2 import TaskError
from taskyard.worker import process_child
from taskyard.worker.attempt import Attempt
from taskyard.worker.context import ProgressSink, StopCause
from taskyard.worker.outcome import PROCESS_CRASHED, failed, returned
from taskyard.worker.runner import Ledger
from taskyard.worker.span import attempt_span

_FATAL = (StopCause.TIMEOUT, StopCause.LOST)


class ProcessRunner:
    """`processes` warm children, each with a thread that minds it.

    A child that dies fails only the attempt it was running, retryably, and is replaced. An attempt that times out or is
    lost has its child killed; a cancelled one sees its flag. Attempts beyond the number of children wait their turn.
    """

    unwinds = False

    def __init__(self, processes: int, ledger: Ledger, progress: ProgressSink) -> None:
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
        self._child: multiprocessing.process.BaseProcess
        self._connection: Connection

    def wake(self) -> None:
        """Make it look at its attempt's stop cause, or at `closing`."""
        with contextlib.suppress(BlockingIOError):  # full: it is about to wake anyway
            os.write(self._wake_writer, b"!")

    def run(self) -> None:
        """Spawn the child and mind it until the runner closes."""
        self._spawn()
        while (attempt := self._queue.get()) is not None and not self.closing:
            if not attempt.done:
                attempt.run = self
                self._perform(attempt)
                attempt.run = None
        self._kill()

    def end(self) -> None:
        """Wait for it to end, which `closing` and a wake bring about."""
        self.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._child = context.Process(target=process_child.serve, args=(theirs,), name="taskyard-process", daemon=True)
        self._child.start()
        theirs.close()

    def _kill(self) -> None:
        self._connection.close()
        self._child.kill()
        self._child.join()

    def _perform(self, attempt: Attempt) -> None:
        try:
            attempt.context.raise_if_cancelled()
            attempt.begin()
            with attempt_span(attempt.context):
                outcome = self._run_in_child(attempt)
        except (Exception, asyncio.CancelledError) as error:  # e.g. a function that can't be pickled
            self._ledger.fail(attempt, error)
        else:
            if outcome is not None:
                self._report(attempt, outcome)

    def _run_in_child(self, attempt: Attempt) -> process_child.Message | None:
        if not self._send_job(attempt):
            # It died while idle; that is not the task's fault.
            self._respawn()
            self._send_job(attempt)
        return self._listen(attempt)

    def _send_job(self, attempt: Attempt) -> bool:
        handler = attempt.handler
        job = (
            process_child.RUN,
            handler.function,
            handler.takes_context,
            handler.non_retryable,
            attempt.sealed,
        )
        try:
            self._connection.send(job)
        except OSError:
            return False
        return True

    def _respawn(self) -> None:
        self._kill()
        self._spawn()

    def _listen(self, attempt: Attempt) -> process_child.Message | None:
        """The attempt's last message; None if it was killed on our wish."""
        told = False
        while True:
            ready = wait([self._connection, self._child.sentinel, self._wake_reader])
            if self._connection in ready:
                message = self._receive()
                if message is None:
                    return self._crashed()
                if message[0] != process_child.PROGRESS:
                    return message
                self._progress(attempt.key, message[1], message[2])
            elif self._child.sentinel in ready:
                return self._crashed()
            else:
                os.read(self._wake_reader, 64)
                cause = attempt.context.stop_cause
                if self.closing or cause in _FATAL:
                    self._kill()
                    if not self.closing:
                        self._spawn()
                    return None
                if cause is not None and not told:
                    told = True
                    self._tell(cause)

    def _receive(self) -> process_child.Message | None:
        try:
            message: process_child.Message = self._connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def _tell(self, cause: StopCause) -> None:
        with contextlib.suppress(OSError):  # dead: its sentinel says so next
            self._connection.send((process_child.STOP, int(cause)))

    def _crashed(self) -> process_child.Message:
        self._child.join()
        code = self._child.exitcode
        self._respawn()
        error = TaskError(
            type=PROCESS_CRASHED,
            message=f"the process running the handler died with exit code {code}",
            retryable=True,
        )
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
