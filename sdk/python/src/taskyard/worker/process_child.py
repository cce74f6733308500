"""The process that runs `process=True` handlers, one attempt at a time.

Over the pipe, parent to child: `(RUN, function, takes_context, non_retryable, definition, assignment)` and
`(STOP, cause)`; child to parent: `(PROGRESS, fraction, message)` and at the end of each attempt one of
`(RETURNED, json, alone)`, `(FAILED, error, alone)` and `(STOPPED, alone)`. Assignment and error are serialized
messages; `alone` says that no program which the handler started still runs.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, NoReturn

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.definition import TaskDefinition
from taskyard.worker.context import Context, StopCause
from taskyard.worker.outcome import decode, describe, encode, is_cancellation
from taskyard.worker.process_tree import has_living_children, kill_tree, lead
from taskyard.worker.session_state import Key
from taskyard.worker.signals import take_over

RUN, STOP = "run", "stop"
PROGRESS, RETURNED, FAILED, STOPPED = "progress", "returned", "failed", "stopped"

Message = tuple[Any, ...]


def serve(connection: Connection, worker: int) -> None:
    """Run what comes over the pipe until it closes, or the process `worker` ends."""
    lead()
    # multiprocessing takes this process for one that has none of its own.
    multiprocessing.current_process().daemon = False
    # The worker decides when this process ends. Handled rather than ignored: what is ignored would be so in every
    # program that a handler starts, too.
    for number in (signal.SIGINT, signal.SIGTERM):
        take_over(number, lambda *_: None)
    Child(connection, worker).run()


class Child:
    """Runs handlers in the main thread while another one listens for stops."""

    def __init__(self, connection: Connection, worker: int) -> None:
        self._connection = connection
        self._worker = worker
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._jobs: SimpleQueue[Message] = SimpleQueue()
        self._context: Context | None = None

    def run(self) -> None:
        """Never returns: the process ends with its pipe."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            job = self._jobs.get()
            if job[0] == RUN:
                _, function, takes_context, non_retryable, definition, assignment = job
                call = function if takes_context else _without_context(function)
                job = self._perform(call, non_retryable, definition, assignment)
                if os.getpid() != self._pid:
                    os._exit(0)  # forked by the handler: the attempt is its parent's to report
            self._send((*job, not has_living_children()))

    def _listen(self) -> None:
        # The pipe alone does not tell: who was forked from the worker meanwhile holds its other end, too.
        gone = _gone(self._worker)
        if os.getppid() != self._worker:
            _die()
        while True:
            ready = wait([self._connection, *gone])
            if self._connection not in ready:
                _die()
            try:
                message: Message = self._connection.recv()
            except (EOFError, OSError):
                _die()
            except Exception as error:  # the function's module can't be imported here
                message = (FAILED, describe(error).SerializeToString())
            if message[0] != STOP:
                self._jobs.put(message)
            elif (context := self._context) is not None:
                context._stop(StopCause(message[1]))

    def _perform(
        self,
        call: Callable[[Context, Any], Any],
        non_retryable: tuple[type[BaseException], ...],
        definition: TaskDefinition[Any, Any] | None,
        assignment: bytes,
    ) -> Message:
        context = Context(wire.Assignment.FromString(assignment), self._progress)
        self._context = context
        try:
            payload = wire.Assignment.FromString(assignment).payload
            encoded = encode(call(context, decode(payload, definition)), definition)
        except BaseException as error:  # whatever a handler raises is its attempt's outcome
            if context.cancelled and is_cancellation(error):
                return (STOPPED,)
            return FAILED, describe(error, non_retryable).SerializeToString()
        finally:
            self._context = None
        if isinstance(encoded, TaskError):
            return FAILED, encoded.SerializeToString()
        return RETURNED, encoded

    def _progress(self, key: Key, fraction: float, message: str) -> None:  # noqa: ARG002 - one attempt at a time
        self._send((PROGRESS, fraction, message))

    def _send(self, message: Message) -> None:
        try:
            # A handler's threads may report progress at the same time.
            with self._sending:
                self._connection.send(message)
        except OSError:
            _die()


def _without_context(function: Callable[[Any], Any]) -> Callable[[Context, Any], Any]:
    return lambda _, payload: function(payload)


def _gone(worker: int) -> list[int]:
    """What is ready to be read once the worker's process has ended, where the system has it."""
    with contextlib.suppress(OSError, AttributeError):
        return [os.pidfd_open(worker)]
    return []


def _die() -> NoReturn:
    """End with all that was started here: the worker is gone and its task will run elsewhere."""
    kill_tree(os.getpid())
    os._exit(0)
