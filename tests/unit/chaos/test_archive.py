"""A history comes back from its files as it was."""

from pathlib import Path

from chaos import archive
from chaos.history.events import Placement, SessionChange, Size, Submit, TermRaised, Transition
from chaos.history.journal import Journal
from chaos.history.record import Facts, History

ORIGIN = 1000.0


def test_a_history_is_restored_as_it_was(tmp_path: Path) -> None:
    submit = Submit(1001.0, 1002.0, "c", "plain", "default", None, "d1", "ok", "t1")
    with Journal(tmp_path / "client.jsonl") as journal:
        journal.append(submit)
    history = History(
        facts=Facts(healed_at=7.0, retention=60.0),
        submits=[submit._replace(invoked=1.0, returned=2.0)],
        transitions=[
            Transition(1, 1.5, 9, "t1", None, "QUEUED", placement=Placement("default", "q", "plain", "", 5)),
            Transition(2, 1.6, 10, "t1", "QUEUED", "RUNNING", attempt=1, session="s1"),
        ],
        sessions=[SessionChange(3, 0.5, 8, "s1", "default", 1, True, 10, ("plain",), ("q",), {"zone": "a"}, "w", "d")],
        terms=[TermRaised(4, 0.1, 5, "d")],
        sizes=[Size("memory", 1.0, 2.0, 3.0)],
    )
    archive.save(history, tmp_path, ORIGIN)
    assert archive.restore(tmp_path) == history
