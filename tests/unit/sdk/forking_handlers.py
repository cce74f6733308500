"""Handlers that fork, and a program that serves them on an event loop of its own: `python -m …forking_handlers`."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time

from taskyard import SyncClient, TaskyardError
from taskyard.worker import Worker

worker = Worker(grace=5.0)


def wait_for_ever() -> None:
    while True:
        time.sleep(60)


def forked() -> int:
    child = os.fork()
    if child == 0:
        wait_for_ever()
    return child


@worker.task("fork.signals")
def signals(payload: object) -> list[int]:
    """How children end that are told to in each of the usual ways."""
    codes = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        child = forked()
        os.kill(child, number)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    process = multiprocessing.get_context("fork").Process(target=wait_for_ever)
    process.start()
    process.terminate()
    process.join()
    program = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        preexec_fn=lambda: None,  # noqa: PLW1509 - the way that runs Python between fork and exec
    )
    program.terminate()
    return [*codes, process.exitcode or 0, program.wait()]


@worker.task("fork.client")
def client(payload: object) -> str:
    """What a client made in a forked child of a worker says."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            with SyncClient("localhost:1") as made:
                made.submit("x")
        except TaskyardError as error:
            os.write(writer, error.reason.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        return stream.read()


async def program() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, worker.stop)
    await worker.serve()


if __name__ == "__main__":
    asyncio.run(program())
