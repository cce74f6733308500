"""The ways of running handlers that a worker needs."""

import asyncio
from collections.abc import Collection

from taskyard.worker.context import ProgressSink
from taskyard.worker.handler import Mode
from taskyard.worker.loop_runner import LoopRunner
from taskyard.worker.process_runner import ProcessRunner
from taskyard.worker.runner import Ledger, Runner
from taskyard.worker.thread_runner import ThreadRunner


def make_runners(
    loop: asyncio.AbstractEventLoop,
    ledger: Ledger,
    progress: ProgressSink,
    *,
    modes: Collection[Mode],
    slots: int,
    processes: int,
) -> dict[Mode, Runner]:
    """A runner for each way; processes are started only if one of the modes asks for them."""
    runners: dict[Mode, Runner] = {Mode.LOOP: LoopRunner(loop, ledger), Mode.THREAD: ThreadRunner(slots, ledger)}
    if Mode.PROCESS in modes:
        pool = ProcessRunner(processes, ledger, progress)
        pool.warm()
        runners[Mode.PROCESS] = pool
    return runners
