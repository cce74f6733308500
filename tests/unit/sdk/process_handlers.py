"""Handlers for spawned processes, which have to import them by name."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

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


SHOW_SIGNALS = "import signal; print([signal.getsignal(n).name for n in (signal.SIGTERM, signal.SIGHUP)])"
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def double(number: int) -> int:
    return 2 * number


def forever_too() -> None:
    threading.Event().wait()


@worker.task("process.echo", process=True)
def echo(payload: Any) -> Any:
    assert payload["n"] == 18446744073709551617
    return payload


@worker.task("process.signals", process=True)
def signals(payload: object) -> list[str]:
    """What a program it starts does on SIGTERM, and what a process it forks."""
    child = multiprocessing.get_context("fork").Process(target=forever_too)
    child.start()
    child.terminate()
    child.join()
    return [subprocess.check_output([sys.executable, "-c", SHOW_SIGNALS], text=True).strip(), str(child.exitcode)]


@worker.task("process.pools", process=True)
def pools(payload: object) -> list[list[int]]:
    found = []
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            found.append(pool.map(double, range(3)))
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            found.append(list(executor.map(double, range(3))))
    return found


@worker.task("process.leave", process=True)
def leave(context: Context, payload: dict[str, Any]) -> int:
    """Start a program, and one in a session of its own; write their ids; end as the payload says."""
    started = [subprocess.Popen(SLEEP), subprocess.Popen(SLEEP, start_new_session=True)]
    Path(payload["pids"]).write_text(" ".join(str(program.pid) for program in started))
    context.progress(0.5, "started")
    match payload["end"]:
        case "return":
            return os.getpid()
        case "raise":
            raise ValueError("left them")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
    with contextlib.suppress(Exception):
        threading.Event().wait()
    return 0


@worker.task("process.garbage", process=True)
def garbage(payload: object) -> None:
    """Write into whatever is open, the pipe to the worker included."""
    for descriptor in Path("/proc/self/fd").iterdir():
        if int(descriptor.name) > 2:
            with contextlib.suppress(OSError):
                os.write(int(descriptor.name), b"\0\0\0\x04junk")
    threading.Event().wait()


@worker.task("process.shout", process=True)
def shout(context: Context, payload: object) -> int:
    """Report progress from many threads at once."""

    def report() -> None:
        for _ in range(200):
            context.progress(0.5, "x" * 900)

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(threads)
