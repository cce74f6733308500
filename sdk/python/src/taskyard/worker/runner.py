"""What every way of running a handler has in common."""

from typing import Protocol

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.attempt import Attempt


class Ledger(Protocol):
    """Where runners bring what came of an attempt. Callable from any thread."""

    def settle(self, attempt: Attempt, result: wire.TaskResult) -> None:
        """Report a result, unless the attempt is done."""

    def fail(self, attempt: Attempt, error: BaseException) -> None:
        """Report what an exception means for this attempt, given what it was told."""


class Runner(Protocol):
    """Runs attempts in its own place. `start` and `stop` are called on the event loop and never block it."""

    unwinds: bool
    """Whether a stopped handler soon comes to an end by itself and is worth waiting for."""

    def start(self, attempt: Attempt) -> None:
        """Run it, now or when a place is free."""

    def stop(self, attempt: Attempt) -> None:
        """Make it stop as its context's `stop_cause` demands; its context is told already."""

    def close(self) -> None:
        """Take no more attempts and let go of threads and processes."""
