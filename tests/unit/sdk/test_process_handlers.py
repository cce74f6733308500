"""Handlers in processes of their own, and what they start."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from taskyard._gen import worker_service_pb2 as wire
from tests.unit.sdk import process_handlers
from tests.unit.sdk.process_states import runs
from tests.unit.sdk.stub_dispatcher import Stream, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, serving

ENDED = 20.0
"""Seconds that a killed process has to be gone."""


def gone(pids: Iterable[str]) -> None:
    """Wait until the processes with these ids have ended."""
    for pid in pids:
        try:
            ending = os.pidfd_open(int(pid))
        except ProcessLookupError:
            continue
        try:
            assert select.select([ending], [], [], ENDED)[0], pid
        finally:
            os.close(ending)


def wait_for_programs(stream: Stream) -> None:
    stream.wait_for(lambda: any(report.progress.message == "started" for report in stream.progress()))


def test_programs_have_the_usual_signals_and_processes_theirs(dispatcher: StubDispatcher) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        signals, pools = assignment("process.signals"), assignment("process.pools")
        stream.assign(signals, pools)
        assert outcome(stream, signals) == ["['SIG_DFL', 'SIG_DFL']", str(-signal.SIGTERM)]
        assert outcome(stream, pools) == [[0, 2, 4]] * 4


@pytest.mark.parametrize("end", ["return", "raise", "time out"])
def test_what_a_handler_started_is_gone_before_its_report(dispatcher: StubDispatcher, tmp_path: Path, end: str) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        warm = assignment("process.square", 1)
        stream.assign(warm)
        outcome(stream, warm)  # its process is there: the time that follows is the handler's
        timeout = {"timeout": 5.0} if end == "time out" else {}
        task = assignment("process.leave", {"pids": str(tmp_path / "pids"), "end": end}, **timeout)
        stream.assign(task)
        if end == "return":
            outcome(stream, task)
        else:
            assert error_of(stream, task).type == {"raise": "ValueError", "time out": "TIMEOUT"}[end]
        assert not any(map(runs, (tmp_path / "pids").read_text().split()))
        following = assignment("process.square", 3)
        stream.assign(following)
        assert outcome(stream, following)["square"] == 9


@pytest.mark.parametrize("end", ["die", "lost", "stop"])
def test_what_a_handler_started_ends_with_its_process(dispatcher: StubDispatcher, tmp_path: Path, end: str) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("process.leave", {"pids": str(tmp_path / "pids"), "end": end})
        stream.assign(task)
        wait_for_programs(stream)
        started = (tmp_path / "pids").read_text().split()
        if end == "die":
            assert error_of(stream, task).type == "PROCESS_CRASHED"
            # What has a session of its own can't be found once the handler's process is gone; its group can.
            gone(started[:1])
            os.kill(int(started[1]), signal.SIGKILL)
        elif end == "lost":
            stream.stop(task, wire.STOP_REASON_LOST)
            gone(started)
    gone(started)


def test_a_killed_worker_leaves_no_programs(dispatcher: StubDispatcher, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taskyard.cli", "worker", "run", "tests.unit.sdk.process_handlers:worker"]
    environment = {**os.environ, "TASKYARD_DISPATCHERS": dispatcher.address}
    with subprocess.Popen(command, env=environment) as process:
        stream = dispatcher.accept()
        stream.assign(assignment("process.leave", {"pids": str(tmp_path / "pids"), "end": "never"}))
        wait_for_programs(stream)
        process.kill()
    gone((tmp_path / "pids").read_text().split())


def test_attempts_that_wait_for_a_process_time_out_and_stop_at_once(dispatcher: StubDispatcher) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        busy = assignment("process.until_cancelled")
        stream.assign(busy)
        stream.wait_for(lambda: any(p.progress.message == "waiting" for p in stream.progress()))
        late, stopped = assignment("process.square", 1, timeout=0.05), assignment("process.square", 2)
        stream.assign(late, stopped)
        assert error_of(stream, late).type == "TIMEOUT"
        stream.stop(stopped, wire.STOP_REASON_CANCELLED)
        assert stream.result_of(stopped).cancelled
        stream.stop(busy, wire.STOP_REASON_CANCELLED)
        assert stream.result_of(busy).cancelled
        stream.acknowledge(stream.result_of(stopped), stream.result_of(busy))


def test_integers_keep_their_digits_in_processes(dispatcher: StubDispatcher) -> None:
    document = b'{"n":18446744073709551617}'
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("process.echo")
        task.payload = document
        stream.assign(task)
        result = stream.result_of(task)
        stream.acknowledge(result)
    assert result.result == document


def test_what_a_handler_does_to_its_pipe_costs_its_attempt_alone(dispatcher: StubDispatcher) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        garbage, shout, after = (assignment(f"process.{name}", 2) for name in ("garbage", "shout", "square"))
        stream.assign(garbage, shout, after)
        assert error_of(stream, garbage).type == "PROCESS_CRASHED"
        assert outcome(stream, shout) == 8
        assert outcome(stream, after)["square"] == 4
