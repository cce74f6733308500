"""A spawned process for handlers, as the worker holds it."""

import contextlib
import multiprocessing
import os
from typing import Any

from taskyard.worker import process_child
from taskyard.worker.process_tree import kill_tree


class ChildProcess:
    """One process from `process_child.serve`, its pipe, and all that it starts."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        with theirs:
            self._process = context.Process(
                target=process_child.serve, args=(theirs, os.getpid()), name="taskyard-process", daemon=True
            )
            self._process.start()
        self._pidfd = _pidfd(self._process.pid)

    @property
    def sentinel(self) -> int:
        """Ready to be read once the process has ended."""
        # The process' own sentinel is a pipe, which children that it forked would hold open.
        return self._process.sentinel if self._pidfd is None else self._pidfd

    def send(self, message: tuple[Any, ...]) -> bool:
        """Send a message; False if the process is gone."""
        try:
            self.connection.send(message)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[Any, ...] | None:
        """The next message; None if there will be none: the process is gone, or its handler wrote to its pipe."""
        try:
            message = self.connection.recv()
        except Exception:  # a handler can write anything there
            return None
        return message if isinstance(message, tuple) else None

    def end(self) -> int | None:
        """Kill it with all that it has started, if it is still there; its exit code."""
        assert self._process.pid is not None
        kill_tree(self._process.pid)
        self._process.kill()
        self._process.join()
        self.connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return self._process.exitcode


def _pidfd(pid: int | None) -> int | None:
    if pid is not None and hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None
