"""How a worker ends, by its own will or not."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from taskyard.worker import Worker
from tests.unit.sdk.stub_dispatcher import PATIENCE, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, serving


def test_shutdown_hands_back_what_does_not_finish(dispatcher: StubDispatcher) -> None:
    worker = Worker(grace=0.1)
    release = threading.Event()

    @worker.task("sync")
    def stuck(payload: object) -> None:
        release.wait(PATIENCE)

    @worker.task("async")
    async def forever(payload: object) -> None:
        await asyncio.Event().wait()

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment("sync"), assignment("async")]
        stream.assign(*tasks)
        marker = assignment("unknown")
        stream.assign(marker)
        assert error_of(stream, marker).type == "NO_HANDLER"
        worker.stop()
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))
        assert set(stream.released()) == {(task.task_id, 1) for task in tasks}
    release.set()
    assert any(frame.drain for frame in stream.frames)


@contextmanager
def demo_process(stub: StubDispatcher, *launcher: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "TASKYARD_DISPATCHERS": stub.address}
    process = subprocess.Popen([*launcher, sys.executable, "-m", "taskyard.demo"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_sigterm_finishes_what_runs_and_exits_cleanly(dispatcher: StubDispatcher) -> None:
    with demo_process(dispatcher) as process:
        stream = dispatcher.accept()
        task, marker = assignment("demo.block", {"seconds": 0.5}), assignment("demo.word_count", {"path": __file__})
        stream.assign(task, marker)
        outcome(stream, marker)  # both were taken; this one runs in a thread
        process.send_signal(signal.SIGTERM)
        stream.wait_for(lambda: any(frame.drain for frame in stream.frames))
        result = stream.result_of(task)
        assert not any(frame.goodbye for frame in stream.frames)
        stream.acknowledge(result)
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))
        assert process.wait(PATIENCE) == 0


def test_hanging_up_finishes_what_runs_however_often(dispatcher: StubDispatcher) -> None:
    with demo_process(dispatcher) as process:
        stream = dispatcher.accept()
        task = assignment("demo.sleep", {"seconds": 0.5})
        stream.assign(task)
        stream.assign(marker := assignment("unknown"))
        error_of(stream, marker)
        process.send_signal(signal.SIGHUP)
        stream.wait_for(lambda: any(frame.drain for frame in stream.frames))
        process.send_signal(signal.SIGHUP)
        outcome(stream, task)
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))
        assert process.wait(PATIENCE) == 0


def test_under_nohup_hanging_up_is_ignored(dispatcher: StubDispatcher) -> None:
    with demo_process(dispatcher, "nohup") as process:
        stream = dispatcher.accept()
        process.send_signal(signal.SIGHUP)
        task = assignment("demo.sleep", {"seconds": 0})
        stream.assign(task)
        outcome(stream, task)
        assert not any(frame.drain for frame in stream.frames)


def test_a_second_signal_ends_the_process_at_once(dispatcher: StubDispatcher) -> None:
    with demo_process(dispatcher) as process:
        stream = dispatcher.accept()
        stream.assign(assignment("demo.sleep", {"seconds": 1000}))
        process.send_signal(signal.SIGTERM)
        stream.wait_for(lambda: any(frame.drain for frame in stream.frames))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM


def test_a_killed_worker_leaves_no_process_behind(dispatcher: StubDispatcher) -> None:
    code = "from tests.unit.sdk.process_handlers import worker; worker.run()"
    environment = {**os.environ, "TASKYARD_DISPATCHERS": dispatcher.address}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as process:
        stream = dispatcher.accept()
        stream.assign(assignment("process.until_cancelled"))
        stream.wait_for(lambda: bool(stream.progress()))
        process.kill()
        assert process.stdout is not None
        # Its end comes once the last process that inherited it is gone.
        assert process.stdout.read() == b""
