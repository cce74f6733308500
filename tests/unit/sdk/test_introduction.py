"""A worker says at start what it serves and where: to people on a terminal, to machines elsewhere."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from contextlib import ExitStack

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.introduction import facts, introduction
from taskyard.worker.log import JsonLines
from tests.unit.sdk.stub_dispatcher import PATIENCE, StubDispatcher

PROGRAM = """
from taskyard import Worker
worker = Worker(name="w-1", slots=3, labels={"io": "ssd"}, queues="mail")
worker.task("town.greet")(lambda payload: payload)
worker.run()
"""


def said_to(descriptor: int, dispatcher: StubDispatcher, reader: int) -> str:
    environment = {**os.environ, "TASKYARD_DISPATCHERS": dispatcher.address}
    with (
        subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=descriptor, env=environment) as process,
        ExitStack() as failed,
    ):
        failed.callback(process.kill)
        dispatcher.accept()
        os.close(descriptor)
        said = os.read(reader, 10_000).decode()
        process.terminate()
        assert process.wait(PATIENCE) == 0
        failed.pop_all()
    os.close(reader)
    return said


def test_people_get_a_line(dispatcher: StubDispatcher) -> None:
    reader, terminal = pty.openpty()
    said = said_to(terminal, dispatcher, reader)
    line = "worker w-1 serves town.greet (3 slots; labels io=ssd; queues mail) at dispatcher stub at "
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {re.escape(line + dispatcher.address)}\r\n", said)


def test_machines_get_json(dispatcher: StubDispatcher) -> None:
    reader, writer = os.pipe()
    told = json.loads(said_to(writer, dispatcher, reader).splitlines()[0])
    assert told["logger"] == "taskyard.worker"
    shown = {name: told[name] for name in ("worker", "types", "queues", "labels", "slots", "namespace", "dispatcher")}
    assert shown == {
        "worker": "w-1",
        "types": ["town.greet"],
        "queues": ["mail"],
        "labels": {"io": "ssd"},
        "slots": 3,
        "namespace": "default",
        "dispatcher": "stub",
    }


def test_a_line_names_some_of_many_types() -> None:
    hello = wire.Hello(worker="w", namespace="shop", slots=1, types=[f"t{number}" for number in range(12)])
    assert introduction(hello) == "worker w serves t0, t1, t2, t3, t4 and 7 more (1 slot; namespace shop)"
    assert len(facts(hello)["types"]) == 12


def test_what_json_cannot_express_is_told_all_the_same() -> None:
    record = logging.makeLogRecord({"msg": "odd \ud800", "levelname": "INFO", "number": 2**70})
    assert json.loads(JsonLines().format(record))["number"] == str(2**70)
