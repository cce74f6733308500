"""The demo worker: handlers to try a cluster with, from harmless to deadly.

Run it with `python -m taskyard.demo`.
"""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from taskyard.worker import Context, NonRetryable, Worker

MAX_SECONDS = 86_400.0

worker = Worker()


@worker.task("demo.noop")
async def noop(_payload: object) -> None:
    """Do nothing."""


@worker.task("demo.echo")
async def echo(payload: object) -> object:
    """Return the payload."""
    return payload


@worker.task("demo.clock")
async def clock(_payload: object) -> int:
    """Return the machine's time when the handler began, in nanoseconds since 1970."""
    return time.time_ns()


@worker.task("demo.sleep")
async def sleep(payload: object) -> float:
    """Sleep `seconds` without holding the event loop; can be cancelled."""
    seconds = _seconds(payload)
    await asyncio.sleep(seconds)
    return seconds


@worker.task("demo.fail")
async def fail(payload: object) -> None:
    """Fail with `message`; `retryable` (default true) says whether another attempt may help."""
    message = _field(payload, "message", str, "failed on demand")
    if _field(payload, "retryable", bool, True):
        raise RuntimeError(message)
    raise NonRetryable(message)


@worker.task("demo.flaky")
async def flaky(context: Context, payload: object) -> int:
    """Fail the first `failures` attempts, then return how many failed."""
    failures = _field(payload, "failures", int)
    if context.failures < failures:
        raise RuntimeError(f"failure {context.failures + 1} of {failures}")
    return context.failures


@worker.task("demo.crash")
async def crash(_payload: object) -> None:
    """Kill the worker's process."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(128 + signal.SIGKILL)  # process 1 of a container survives its own signal


@worker.task("demo.block")
async def block(payload: object) -> float:
    """Block the event loop for `seconds`, as no async handler should."""
    seconds = _seconds(payload)
    time.sleep(seconds)  # noqa: ASYNC251 - blocking is what it is for
    return seconds


@worker.task("demo.word_count", non_retryable=(FileNotFoundError, IsADirectoryError))
def word_count(payload: object) -> dict[str, Any]:
    """Count the words of the file at `path`: what `str.split` separates, bytes that aren't UTF-8 replaced.

    Returns {"path", "words": total, "distinct": number, "counts": {word: times}}.
    """
    path = _field(payload, "path", str)
    counts = Counter(Path(path).read_text(encoding="utf-8", errors="replace").split())
    return {
        "path": path,
        "words": counts.total(),
        "distinct": len(counts),
        "counts": dict(counts),
    }


def _seconds(payload: object) -> float:
    seconds = _field(payload, "seconds", (int, float))
    if not 0 <= seconds <= MAX_SECONDS:
        raise NonRetryable(f"seconds: must be 0 to {MAX_SECONDS:g}, got {seconds}")
    return float(seconds)


def _field(payload: object, name: str, kind: type | tuple[type, ...], default: object = None) -> Any:
    """A payload's field of one of the given types. Raises NonRetryable naming the field."""
    if not isinstance(payload, dict):
        raise NonRetryable(f"payload: must be an object with {name!r}")
    value = payload.get(name, default)
    # JSON's true is no number, though Python's bool is an int.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise NonRetryable(f"{name}: missing or of the wrong type in {payload!r:.200}")
    return value


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    worker.run()
