"""Typed definitions: what travels, what comes out, and what is refused where."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from taskyard import Client, InvalidArgument, SyncClient, UnexpectedResult, Worker, task
from taskyard._gen import task_pb2
from tests.unit.sdk import defined_tasks as defined
from tests.unit.sdk.defined_tasks import Parcel, Place, Receipt, Region, Size, Town
from tests.unit.sdk.stub import StubScheduler
from tests.unit.sdk.stub_dispatcher import StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, serving

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROUNDS: list[tuple[Any, Any, Any]] = [
    (defined.greet, Town("Lyon", 5), {"name": "Lyon", "people": 5}),
    (defined.locate, Place(town="Lyon"), {"town": "Lyon"}),
    (defined.locate, Place(town="Lyon", zip=69001), {"town": "Lyon", "zip": 69001}),
    (defined.weigh, Parcel(weightKg=2.5, sent=NOON), {"weightKg": 2.5, "sent": "2026-11-29T12:00:00Z"}),
    (defined.bill, Receipt(2**60, ["a"]), {"number": 2**60, "lines": ["a"]}),
    (defined.count, ["a", "b"], ["a", "b"]),
    (defined.tick, None, None),
    (defined.lookup, 2**70, 2**70),
    (
        defined.grow,
        Region(
            [Town("Lyon")],
            {"N": Town("Nice", 3)},
            NOON,
            UUID(int=7),
            Size.LARGE,
            "inland",
            (1.5, 2.0),
            Region([Town("Lille")]),
        ),
        {
            "towns": [{"name": "Lyon", "people": 0}],
            "by_code": {"N": {"name": "Nice", "people": 3}},
            "since": "2026-11-29T12:00:00+00:00",
            "id": "00000000-0000-0000-0000-000000000007",
            "size": "large",
            "kind": "inland",
            "corner": [1.5, 2.0],
            "within": {
                "towns": [{"name": "Lille", "people": 0}],
                "by_code": {},
                "since": None,
                "id": None,
                "size": "small",
                "kind": "coast",
                "corner": [0.0, 0.0],
                "within": None,
            },
        },
    ),
]


@pytest.mark.parametrize(("definition", "value", "document"), ROUNDS, ids=lambda part: getattr(part, "type", ""))
async def test_a_payload_travels_as_json_and_comes_out_as_it_was(
    client: Client, stub: StubScheduler, definition: Any, value: Any, document: Any
) -> None:
    handle = await definition.submit(client, value)
    sent = stub.tasks[handle.id]
    assert sent.type == definition.type
    assert json.loads(sent.payload) == document
    assert definition.load_payload(json.loads(sent.payload)) == value


MISFITS: list[tuple[Any, Any, str]] = [
    (defined.greet, {}, "name: is missing"),
    (defined.greet, None, "must be an object, got null"),
    (defined.greet, {"name": 3}, "name: must be text, got a whole number"),
    (defined.greet, {"name": "Lyon", "people": True}, "people: must be a whole number, got true or false"),
    (defined.greet, {"name": "Lyon", "people": 1.5}, "people: must be a whole number, got a number"),
    (defined.grow, {"towns": {}}, "towns: must be a list, got an object"),
    (defined.grow, {"towns": [{"name": "Lyon"}, {}]}, "towns[1].name: is missing"),
    (defined.grow, {"towns": []}, "a region has towns"),
    (defined.grow, {"towns": [{"name": ""}], "by_code": {"N": 1}}, "by_code.N: must be an object, got a whole number"),
    (defined.grow, {"towns": [{"name": ""}], "since": "soon"}, "since: must be datetime or NoneType, got text"),
    (defined.grow, {"towns": [{"name": ""}], "size": "huge"}, "size: must be one of small, large"),
    (defined.grow, {"towns": [{"name": ""}], "kind": "sea"}, "kind: must be one of coast, inland"),
    (defined.grow, {"towns": [{"name": ""}], "corner": [1]}, "corner: must have 2 items, got 1"),
    (defined.grow, {"towns": [{"name": ""}], "corner": [1, ""]}, "corner[1]: must be a number, got text"),
    (
        defined.grow,
        {"towns": [{"name": ""}], "within": {"towns": 1}},
        "within.towns: must be a list, got a whole number",
    ),
    (defined.locate, {"zip": 1}, "town: is missing"),
    (defined.locate, {"town": "", "zip": "1"}, "zip: must be a whole number, got text"),
    (defined.weigh, {"weightKg": 0, "sent": "2026-11-29T12:00:00Z"}, "weightKg: Input should be greater than 0"),
    (defined.weigh, {"weightKg": 1}, "sent: Field required"),
    (defined.bill, {"number": 1, "lines": [1]}, "lines[0]: Expected `str`, got `int`"),
    (defined.bill, {}, "Object missing required field `number`"),
    (defined.count, ["", 1], "[1]: must be text, got a whole number"),
    (defined.tick, 0, "must be null, got a whole number"),
]


@pytest.mark.parametrize(("definition", "document", "told"), MISFITS, ids=lambda part: str(part)[:40])
def test_a_payload_that_does_not_fit_is_refused_with_its_place(definition: Any, document: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is compared
        definition.load_payload(document)
    assert str(caught.value) == told


def test_fields_of_a_newer_program_are_left_out() -> None:
    assert defined.greet.load_payload({"name": "Lyon", "mayor": "?"}) == Town("Lyon")
    assert defined.locate.load_payload({"town": "Lyon", "mayor": "?"}) == {"town": "Lyon"}


WRONG: list[tuple[Any, Any, str]] = [
    (defined.greet, {"name": "Lyon"}, "payload: must be Town, got an object"),
    (defined.greet, Town(3), "payload.name: must be text, got a whole number"),  # type: ignore[arg-type]
    (defined.locate, {"town": "", "zap": 1}, "payload.zap: is no field of it"),
    (defined.locate, {}, "payload.town: is missing"),
    (defined.weigh, Town(""), "payload: must be Parcel, got Town"),
    (defined.bill, None, "payload: must be Receipt, got NoneType"),
    (defined.count, ("a", 2), "payload[1]: must be text, got a whole number"),
]


@pytest.mark.parametrize(("definition", "value", "told"), WRONG, ids=lambda part: str(part)[:40])
async def test_a_submitter_is_told_which_field_does_not_fit(
    client: Client, stub: StubScheduler, definition: Any, value: Any, told: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await definition.submit(client, value)
    assert str(caught.value) == told
    assert not stub.tasks


async def test_options_come_from_the_definition_unless_the_submit_has_them(client: Client, stub: StubScheduler) -> None:
    first = stub.tasks[(await defined.greet.submit(client, Town("Lyon"))).id]
    second = stub.tasks[(await defined.greet.submit(client, Town("Lyon"), priority=2, selector="io=ssd")).id]
    assert (first.queue, first.priority, first.selector) == ("towns", 7, "")
    assert (second.queue, second.priority, second.selector) == ("towns", 2, "io=ssd")
    request = defined.greet.request(Town("Nice"), priority=1)
    assert (request.queue, request.priority, request.payload) == ("towns", 1, {"name": "Nice", "people": 0})


async def test_a_handle_has_the_result_as_it_was_defined(client: Client, stub: StubScheduler) -> None:
    handle = await defined.grow.submit(client, Region([Town("Lyon")]))
    await stub.end(handle.id, task_pb2.TASK_STATE_SUCCEEDED, result=b'{"towns": [{"name": "Nice"}]}')
    assert await handle.result() == Region([Town("Nice")])
    assert await defined.grow.handle(client, handle.id).result() == Region([Town("Nice")])
    # The task itself is told as the server has it.
    assert (await handle.get()).result == {"towns": [{"name": "Nice"}]}


async def test_a_result_of_another_kind_is_an_error_of_its_own(client: Client, stub: StubScheduler) -> None:
    handle = await defined.greet.submit(client, Town("Lyon"))
    await stub.end(handle.id, task_pb2.TASK_STATE_SUCCEEDED, result=b"[1]")
    with pytest.raises(UnexpectedResult, match=r"town\.greet.*must be text, got a list"):
        await handle.result()


async def test_the_blocking_client_has_typed_handles_too(address: str, stub: StubScheduler) -> None:
    def submit(client: SyncClient) -> str:
        return defined.greet.submit(client, Town("Lyon")).id

    def results(client: SyncClient, id: str) -> list[str]:
        return [client.handle(id).result(), defined.greet.handle(client, id).result()]

    with SyncClient(address) as client:
        id = await asyncio.to_thread(submit, client)
        await stub.end(id, task_pb2.TASK_STATE_SUCCEEDED, result=b'"Hello"')
        assert await asyncio.to_thread(results, client, id) == ["Hello", "Hello"]


@pytest.fixture
def stream(dispatcher: StubDispatcher) -> Iterator[Any]:
    with serving(defined.worker, dispatcher):
        yield dispatcher.accept()


def job(type: str, payload: Any) -> Any:
    return assignment(type, payload)


def test_handlers_get_and_return_values_as_defined(stream: Any) -> None:
    greeted, grown = job("town.greet", {"name": "Lyon"}), job("region.grow", {"towns": [{"name": "Lyon"}]})
    spawned = job("town.spawn", {"name": "Lyon"})
    stream.assign(greeted, grown, spawned)
    assert outcome(stream, greeted) == "Hello Lyon, from attempt 1"
    assert outcome(stream, grown)["within"]["towns"] == [{"name": "Lyon", "people": 0}]
    assert outcome(stream, spawned) == {"name": "LYON", "people": 0}


@pytest.mark.parametrize("type", ["town.greet", "town.spawn"])
def test_another_payload_ends_the_task_and_names_the_field(stream: Any, type: str) -> None:
    wrong = job(type, {"name": 3})
    stream.assign(wrong)
    error = error_of(stream, wrong)
    assert (error.type, error.message) == ("INVALID_PAYLOAD", "payload: name: must be text, got a whole number")
    assert not error.retryable


def test_another_result_ends_the_task(stream: Any) -> None:
    wrong = job("lie", "")
    stream.assign(wrong)
    error = error_of(stream, wrong)
    assert (error.type, error.message) == ("INVALID_RESULT", "result: must be a whole number, got text")
    assert not error.retryable


@dataclass
class Blob:
    content: bytes


@pytest.mark.parametrize("hint", [Blob, set[str], dict[int, str], complex])
def test_a_type_that_json_has_no_form_of_is_refused_when_it_is_registered(hint: Any) -> None:
    definition = task("blob.store", hint)
    with pytest.raises(TypeError, match="JSON has no form of it"):
        Worker().handles(definition)


def test_a_type_has_one_handler() -> None:
    worker = Worker()
    worker.task("town.greet")(lambda payload: payload)
    with pytest.raises(ValueError, match="has a handler already"):
        worker.handles(defined.greet)(lambda town: town.name)


def test_neither_pydantic_nor_msgspec_is_loaded_for_classes_that_are_not_theirs() -> None:
    probe = (
        "import sys, dataclasses, taskyard.worker\n"
        "@dataclasses.dataclass\n"
        "class Town:\n    name: str\n"
        "greet = taskyard.task('town.greet', Town, list[str])\n"
        "greet.dump_payload(greet.load_payload({'name': 'Lyon'}))\n"
        "print([name for name in ('pydantic', 'msgspec') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


TYPES = """
from typing import assert_type
from taskyard import Client, Context, SyncClient, SyncTypedHandle, TaskDefinition, TypedHandle, Worker, task
from tests.unit.sdk.defined_tasks import Parcel, Place, Receipt, Town, bill, count, greet, locate, lookup, tick

worker = Worker()

async def submits(client: Client, blocking: SyncClient) -> None:
    handle = await greet.submit(client, Town("Lyon"), priority=3)
    assert_type(handle, TypedHandle[str])
    assert_type(await handle.result(), str)
    assert_type(greet.submit(blocking, Town("Lyon")), SyncTypedHandle[str])
    assert_type(greet.submit(blocking, Town("Lyon")).result(), str)
    assert_type(await (await bill.submit(client, Receipt(1))).result(), Parcel)
    assert_type(await (await locate.submit(client, {"town": "Lyon"})).result(), Place)
    assert_type(await (await count.submit(client, ["a"])).result(), dict[str, int])
    assert_type(await lookup.handle(client, "id").result(), str | None)
    assert_type(tick, TaskDefinition[None, None])
    await greet.submit(client, "Lyon")  # E: arg-type|call-overload
    await greet.submit(client, Town("Lyon"), speed=3)  # E: call-overload

@worker.handles(greet)
async def both(context: Context, town: Town) -> str:
    return town.name

@worker.handles(bill)
def one(receipt: Receipt) -> Parcel:
    raise NotImplementedError

async def called() -> None:
    assert_type(one(Receipt(1)), Parcel)

@worker.handles(greet)  # E: arg-type|call-overload
async def wrong_input(context: Context, town: int) -> str:
    return ""

@worker.handles(greet)  # E: arg-type|call-overload
async def wrong_output(town: Town) -> int:
    return 1
"""


def test_type_checkers_follow_a_definition(tmp_path: Path) -> None:
    program = tmp_path / "typed_program.py"
    program.write_text(TYPES)
    root = Path(__file__).parents[3]
    options = ["--strict", "--no-error-summary", "--hide-error-context", "--config-file", str(root / "pyproject.toml")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    found = {
        int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]")
        for line in checked.stdout.splitlines()
        if ": error: " in line
    }
    expected = {
        number: line.rpartition("# E: ")[2] for number, line in enumerate(TYPES.splitlines(), 1) if "# E: " in line
    }
    assert found.keys() == expected.keys(), checked.stdout
    for number, kinds in expected.items():
        assert found[number] in kinds.split("|"), checked.stdout
