"""Handlers in processes of their own, and what they start."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taskyard._gen import worker_service_pb2 as wire
from tests.unit.sdk import process_handlers
from tests.unit.sdk.stub_dispatcher import StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, serving

ENDED = 20.0
"""Seconds that a killed process has to be gone."""


async def gone(pids: Path) -> None:
    """Wait until the processes whose ids are there have ended."""
    async with asyncio.timeout(ENDED):
        for pid in map(int, pids.read_text().split()):
            while _runs(pid):
                await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def test_programs_have_the_usual_signals_and_processes_theirs(dispatcher: StubDispatcher) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        signals, pools = assignment("process.signals"), assignment("process.pools")
        stream.assign(signals, pools)
        assert outcome(stream, signals) == ["['SIG_DFL', 'SIG_DFL']", str(-signal.SIGTERM)]
        assert outcome(stream, pools) == [[0, 2, 4]] * 4


@pytest.mark.parametrize("end", ["return", "raise", "die", "time out", "be lost", "stop"])
async def test_what_a_handler_started_ends_with_its_attempt(
    dispatcher: StubDispatcher, tmp_path: Path, end: str
) -> None:
    pids = tmp_path / "pids"
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        warm = assignment("process.square", 1)
        stream.assign(warm)
        outcome(stream, warm)  # its process is there: the time that follows is the handler's
        timeout = {"timeout": 3.0} if end == "time out" else {}
        task = assignment("process.leave", {"pids": str(pids), "end": end}, **timeout)
        stream.assign(task)
        match end:
            case "return":
                outcome(stream, task)
            case "raise":
                assert error_of(stream, task).type == "ValueError"
            case "die":
                assert error_of(stream, task).type == "PROCESS_CRASHED"
            case "time out":
                assert error_of(stream, task).type == "TIMEOUT"
        if end in ("return", "raise", "time out"):
            # The next attempt does not overlap with them: they are killed before the report.
            assert not any(map(_runs, map(int, pids.read_text().split())))
        if end in ("be lost", "stop"):
            async with asyncio.timeout(ENDED):
                while not pids.exists() or len(pids.read_text().split()) < 2:
                    await asyncio.sleep(0.01)
        if end == "be lost":
            stream.stop(task, wire.STOP_REASON_LOST)
        if end == "die":
            # Its session of its own can't be found once the handler's process is gone; the group can.
            pids.write_text(pids.read_text().split()[0])
        if end != "stop":
            await gone(pids)
            following = assignment("process.square", 3)
            stream.assign(following)
            assert outcome(stream, following)["square"] == 9
    if end == "stop":
        await gone(pids)


async def test_a_killed_worker_leaves_no_programs(dispatcher: StubDispatcher, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = [sys.executable, "-m", "taskyard.cli", "worker", "run", "tests.unit.sdk.process_handlers:worker"]
    environment = {**os.environ, "TASKYARD_DISPATCHERS": dispatcher.address}
    with subprocess.Popen(command, env=environment) as process:
        stream = dispatcher.accept()
        stream.assign(assignment("process.leave", {"pids": str(pids), "end": "never"}))
        async with asyncio.timeout(ENDED):
            while not pids.exists() or len(pids.read_text().split()) < 2:
                await asyncio.sleep(0.01)
        process.kill()
    await gone(pids)


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
