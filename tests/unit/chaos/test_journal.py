"""Logs that outlive their writers."""

import time
from pathlib import Path

import pytest

from chaos.history import journal
from chaos.history.events import Ended, Phase, Started, Submit
from chaos.history.journal import Journal, steady_clock
from chaos.history.record import History


def test_what_is_written_is_read_back_on_the_runs_clock(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.jsonl"
    with Journal(path, clock=lambda: 1005.0) as log:
        log.append(Started(log.now(), "w", "s", "t", 1))
        log.append(Submit(1001.0, 1002.0, "c", "plain", "default", None, "r", Phase.OK, "t"))
    with Journal(path) as log:
        log.append(Ended(1006.0, "w", "s", "t", 1, "SUCCEEDED", "d"))
    history = History()
    journal.load(history, tmp_path, 1000.0)
    assert history.started == [Started(5.0, "w", "s", "t", 1)]
    assert history.ended == [Ended(6.0, "w", "s", "t", 1, "SUCCEEDED", "d")]
    assert history.submits == [Submit(1.0, 2.0, "c", "plain", "default", None, "r", "ok", "t")]


def test_a_wall_clock_that_jumps_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    told, believed = steady_clock(1000.0), steady_clock()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert told() == pytest.approx(1000.0 + time.monotonic(), abs=1.0)
    assert believed() > 1e9


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with Journal(path) as log:
        log.append(Started(1.0, "w", "s", "t", 1), Started(2.0, "w", "s", "t", 2))
    path.write_bytes(path.read_bytes()[:-5])
    assert [event.at for event in journal.read(path, 0.0) if isinstance(event, Started)] == [1.0]


def test_several_writers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with Journal(path) as one, Journal(path) as other:
        for attempt in range(100):
            (one, other)[attempt % 2].append(Started(0.0, "w", "s", "t", attempt))
    read = [event.attempt for event in journal.read(path, 0.0) if isinstance(event, Started)]
    assert read == list(range(100))
