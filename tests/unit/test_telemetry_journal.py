"""The log of transitions."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from taskyard_core.domain.task import TaskError, TaskSpec, TaskState
from taskyard_core.domain.transitions import DUE, FAILED, RETRIED, Change, Runner, Transition
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.journal import Journal
from taskyard_core.telemetry.ledger import Ledger
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.styles import JsonStyle, Style, TextStyle

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
LANE = "default/mail/demo.echo/5/io=ssd"
RUNNER = Runner("s-1", "w-1", "worker-pod-3")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123_000, UTC).timestamp()


class Stream(io.StringIO):
    """Counts its writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def journal(stream: io.StringIO, style: Style | None = None, ledger: Ledger | None = None) -> Journal:
    identity = Identity("dispatcher", "pod-7", "d-1")
    return Journal(identity, style or JsonStyle(), stream, ledger or Ledger(), lambda: NOON)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def failed(target: TaskState, error: str) -> Change:
    rule = {TaskState.SCHEDULED: RETRIED, TaskState.FAILED: FAILED}[target]
    transition = Transition("t-1", 2, rule, error=TaskError(error, "secret"), runner=RUNNER, ran=0.5)
    return Change(transition, TaskState.RUNNING, target, LANE, TRACEPARENT)


def test_a_claim_names_everything() -> None:
    stream = Stream()
    journal(stream).claimed([Claim("t-1", 2, LANE, RUNNER, 0.1, TRACEPARENT)])
    assert lines(stream) == [
        {
            "ts": "2026-03-01T12:00:00.123Z",
            "level": "INFO",
            "logger": "taskyard.transitions",
            "message": "task moved",
            "role": "dispatcher",
            "pod": "pod-7",
            "process": "d-1",
            "dispatcher": "d-1",
            "from": "QUEUED",
            "to": "RUNNING",
            "task": "t-1",
            "attempt": 2,
            "namespace": "default",
            "queue": "mail",
            "type": "demo.echo",
            "worker": "w-1",
            "session": "s-1",
            "worker_pod": "worker-pod-3",
            "trace_id": TRACE,
        }
    ]


def test_a_batch_is_one_write() -> None:
    stream = Stream()
    journal(stream).claimed([Claim(f"t-{n}", 1, LANE, RUNNER, 0.1) for n in range(500)])
    assert stream.writes == 1
    assert [line["task"] for line in lines(stream)] == [f"t-{n}" for n in range(500)]


def test_nothing_is_written_for_an_empty_batch() -> None:
    stream = Stream()
    journal(stream).claimed([])
    assert stream.writes == 0


def test_an_outcome_names_states_outcome_and_error_but_not_its_message() -> None:
    stream = Stream()
    journal(stream).changed([failed(TaskState.SCHEDULED, "ValueError")])
    (line,) = lines(stream)
    assert (line["from"], line["to"], line["outcome"]) == ("RUNNING", "SCHEDULED", "FAILED")
    assert line["error"] == "ValueError"
    assert line["attempt"] == 2
    assert "secret" not in stream.getvalue()


def test_submissions_and_moves() -> None:
    stream = Stream()
    log = journal(stream)
    log.submitted(["t-1", "t-2"], [TaskSpec("a", b"{}"), TaskSpec("a", b"{}", delay=5.0, traceparent=TRACEPARENT)])
    log.changed([Change(Transition("t-2", 0, DUE), TaskState.SCHEDULED, TaskState.QUEUED, LANE)])
    first, second, third = lines(stream)
    assert (first["from"], first["to"], first["task"], first["attempt"]) == (None, "QUEUED", "t-1", 0)
    assert (second["from"], second["to"], second["trace_id"]) == (None, "SCHEDULED", TRACE)
    assert (third["from"], third["to"], third["queue"]) == ("SCHEDULED", "QUEUED", "mail")


@pytest.mark.parametrize("hostile", ['"},{"x":"', "back\\slash", 'new\nline "quoted"', "\u2028 ü 🦊", "\x00\x1f"])
def test_names_that_clients_choose_cannot_break_a_line(hostile: str) -> None:
    stream = Stream()
    runner = Runner(hostile, hostile, hostile)
    log = journal(stream)
    log.claimed([Claim("t", 1, LANE, runner, 0.1, f"00-{hostile * 40}")])
    log.changed([failed(TaskState.FAILED, hostile)])
    parsed = [json.loads(line) for line in stream.getvalue().removesuffix("\n").split("\n")]
    assert [line["task"] for line in parsed] == ["t", "t-1"]
    assert parsed[0]["worker"] == parsed[0]["session"] == parsed[1]["error"] == hostile


def test_text_is_for_people() -> None:
    stream = Stream()
    log = journal(stream, TextStyle())
    log.claimed([Claim("t-1", 1, LANE, Runner("s", "two\nlines"), 0.1, TRACEPARENT)])
    log.submitted(["t-2"], [TaskSpec("a", b"{}")])
    assert stream.getvalue() == (
        "2026-03-01T12:00:00.123Z INFO    d-1 QUEUED -> RUNNING task=t-1 attempt=1 default/mail/demo.echo "
        f"worker='two\\nlines' trace={TRACE}\n"
        "2026-03-01T12:00:00.123Z INFO    d-1 new -> QUEUED task=t-2 attempt=0 default/default/a\n"
    )


def test_lines_that_cannot_be_written_are_counted() -> None:
    ledger = Ledger()
    journal(FullDisk(), ledger=ledger).claimed([Claim("t", 1, LANE, RUNNER, 0.1)] * 3)
    assert ledger.lines_lost == 3
