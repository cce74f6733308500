"""The process that runs `process=True` handlers, one attempt at a time.

Over the pipe, parent to child: `(RUN, function, takes_context, non_retryable, assignment)` and `(STOP, cause)`;
child to parent: `(PROGRESS, fraction, message)` and at the end of each attempt one of `(RETURNED, json)`,
`(FAILED, error)` and `(STOPPED,)`. Assignment and error are serialized messages.
"""

import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.context import Context, StopCause
from taskyard.worker.outcome import decode, describe, encode, is_cancellation
from taskyard.worker.session_state import Key

RUN, STOP = "run", "stop"
PROGRESS, RETURNED, FAILED, STOPPED = "progress", "returned", "failed", "stopped"

Message = tuple[Any, ...]


def serve(connection: Connection) -> None:
    """Run what comes over the pipe until it closes."""
    # The parent decides when this process ends; a terminal's Ctrl-C goes to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Child(connection).run()


class Child:
    """Runs handlers in the main thread while another one listens for stops."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._jobs: SimpleQueue[Message] = SimpleQueue()
        self._context: Context | None = None

    def run(self) -> None:
        """Never returns: the process ends with its pipe."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            job = self._jobs.get()
            if job[0] == RUN:
                _, function, takes_context, non_retryable, assignment = job
                call = function if takes_context else _without_context(function)
                job = self._perform(call, non_retryable, assignment)
            self._send(job)

    def _listen(self) -> None:
        while True:
            try:
                message: Message = self._connection.recv()
            except (EOFError, OSError):
                # The worker is gone and its task will run elsewhere: go on with nothing.
                os._exit(0)
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
        assignment: bytes,
    ) -> Message:
        context = Context(wire.Assignment.FromString(assignment), self._progress)
        self._context = context
        try:
            payload = wire.Assignment.FromString(assignment).payload
            encoded = encode(call(context, decode(payload)))
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
            self._connection.send(message)
        except OSError:
            os._exit(0)


def _without_context(function: Callable[[Any], Any]) -> Callable[[Context, Any], Any]:
    return lambda _, payload: function(payload)
