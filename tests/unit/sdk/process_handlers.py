"""Handlers for spawned processes, which have to import them by name."""

import os
import signal
import threading

from taskyard.worker import Context, Worker

worker = Worker(processes=1, slots=10, grace=5.0)


@worker.task("process.square", process=True)
def square(context: Context, payload: int) -> dict[str, int]:
    context.progress(0.5, "half")
    return {"square": payload * payload, "pid": os.getpid(), "attempt": context.attempt}


@worker.task("process.die", process=True)
def die(payload: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@worker.task("process.fail", process=True, non_retryable=(LookupError,))
def fail(payload: object) -> None:
    raise KeyError("missing")


@worker.task("process.until_cancelled", process=True)
def until_cancelled(context: Context, payload: object) -> None:
    context.progress(0.1, "waiting")
    while True:
        context.raise_if_cancelled()
        threading.Event().wait(0.01)


@worker.task("process.forever", process=True)
def forever(payload: object) -> None:
    threading.Event().wait()
