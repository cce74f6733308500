"""What the chaos workload `hostile` does to a worker, one deed after the other beside an honest handler."""

from pathlib import Path

import orjson

from chaos.history import journal
from chaos.history.events import Ended, digest
from chaos.history.journal import Journal
from chaos.worker import Logged
from chaos.workloads.deeds import DEEDS
from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker import Worker
from tests.unit.sdk.stub_dispatcher import StubDispatcher, assignment
from tests.unit.sdk.worker_stage import running


def test_every_deed_ends_alone_and_its_log_says_what_it_reported(dispatcher: StubDispatcher, tmp_path: Path) -> None:
    worker = Worker(slots=100)
    with Journal(tmp_path / "w.jsonl") as log:
        Logged(worker, "w", log)
        neighbour = assignment("chaos.slow", {"token": "n", "seconds": 3.0})
        tasks = {type_: _assignment(type_) for type_ in DEEDS}
        with running(worker, dispatcher):
            stream = dispatcher.accept()
            stream.assign(neighbour, *tasks.values())
            results = {type_: stream.result_of(task) for type_, task in tasks.items()}
            went_on = stream.result_of(neighbour)
            for result in (went_on, *results.values()):
                stream.acknowledge(result)
    assert orjson.loads(went_on.result)["token"] == "n"
    said = {end.task: end for end in journal.read(tmp_path / "w.jsonl", 0.0) if isinstance(end, Ended)}
    for type_, result in results.items():
        error = DEEDS[type_].error
        assert (result.error.type or None) == error, type_
        word = said.get(result.task_id)
        if error == "TIMEOUT":
            assert word is None or word.outcome == "FAILED"
        else:
            assert word is not None
            assert (word.outcome, word.result) == (
                ("FAILED", None) if error else ("SUCCEEDED", digest(result.result))
            ), type_
    assert not stream.released()


def _assignment(type_: str) -> wire.Assignment:
    task = assignment(type_, {"token": type_})
    if type_.endswith("counts-far"):
        task.payload = b'{"token":"far","number":18446744073709551617}'
    if DEEDS[type_].error == "TIMEOUT":
        task.timeout.FromMilliseconds(500)
    return task
