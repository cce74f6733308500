"""A whole dispatcher behind its real port: what odd workers and odd rows get, and that their neighbours go on."""

import asyncio
import itertools
import math
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
import uuid_utils

from simulation.memory.etcd import EtcdServer, MemoryAccess
from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.domain import limits
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import Task, TaskState
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.submissions import NewTask
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen import worker_service_pb2_grpc as wire_grpc
from taskyard_core.wire.gen.task_pb2 import TaskError
from taskyard_dispatcher.assembly import Assembly
from taskyard_dispatcher.gateway import guard
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores
from tests.conformance.task_stores import PostgresYard, Yard, waiting

LANE = "default/default/demo.echo/5/"


class Worker:
    """One stream of a worker, frame by frame."""

    def __init__(self, channel: grpc.aio.Channel, **hello: Any) -> None:
        self.call = wire_grpc.WorkerServiceStub(channel).Session()  # type: ignore[call-arg]
        self.hello = wire.Hello(**{"session_id": str(uuid.uuid4()), "types": ["demo.echo"], "slots": 200, **hello})

    async def send(self, **frame: Any) -> None:
        await self.call.write(wire.WorkerFrame(**frame))

    async def read(self) -> wire.DispatcherFrame:
        frame = await self.call.read()
        if not isinstance(frame, wire.DispatcherFrame):
            raise EOFError(await self.call.details())
        return frame

    async def begin(self) -> wire.Welcome:
        await self.send(hello=self.hello)
        return (await self.read()).welcome

    async def refused(self) -> tuple[grpc.StatusCode, str]:
        with suppress(grpc.aio.AioRpcError, EOFError):
            while True:
                await self.read()
        return await self.call.code(), await self.call.details()

    async def assigned(self, count: int) -> list[wire.Assignment]:
        found: list[wire.Assignment] = []
        while len(found) < count:
            found += (await self.read()).assignments
        return found

    async def acks(self, count: int) -> list[wire.ResultAck]:
        found: list[wire.ResultAck] = []
        while len(found) < count:
            found += (await self.read()).acks
        return found


class Place:
    """The dispatcher, and who may come to it."""

    def __init__(self, yard: Yard, parts: Assembly, channel: grpc.aio.Channel) -> None:
        self.yard = yard
        self.parts = parts
        self.channel = channel

    def worker(self, **hello: Any) -> Worker:
        return Worker(self.channel, **hello)

    async def tasks(self, count: int, **fields: Any) -> list[str]:
        spec = build(**{"type": "demo.echo", "payload": b"1", **fields})
        new = [NewTask(str(uuid_utils.uuid7()), spec) for _ in range(count)]
        await self.yard.store.submissions.submit(new)
        return [task.id for task in new]

    async def publish(self, ids: list[str]) -> None:
        await self.parts.stores.delivery.lanes.publish({LANE: [(task, 0) for task in ids]})

    async def task(self, task_id: str) -> Task:
        found = await self.yard.store.tasks.get(task_id)
        assert found is not None
        return found

    async def ended(self, task_id: str) -> Task:
        while not (task := await self.task(task_id)).state.terminal:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)
        return task


@pytest_asyncio.fixture(loop_scope="session")
async def place(yard: Yard) -> AsyncIterator[Place]:
    words = (f"word{number}" for number in itertools.count())
    delivery = MemoryDelivery(RedisServer(asyncio.get_running_loop().time, lambda: next(words)))
    etcd = Etcd(EtcdSettings(), access=MemoryAccess(EtcdServer(time.monotonic)))
    stores = Stores(yard.store, yard.store, yard.store, delivery, etcd)
    parts = Assembly(
        "d", DispatcherSettings.model_validate({"pod_name": "pod"}), stores, Telemetry.silent(), SystemClock()
    )
    server = guard.server()
    wire_grpc.add_WorkerServiceServicer_to_server(parts.streams, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    loops = [asyncio.create_task(loop) for loop in (parts.registry.run(), parts.dispatching.run(), parts.upkeep.run())]
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield Place(yard, parts, channel)
    await server.stop(0)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await parts.grace.close()
    await parts.presence.close()
    delivery.close()
    await etcd.close()


async def test_one_task_that_cannot_be_run_among_a_hundred(place: Place) -> None:
    ids = await place.tasks(100)
    poisoned = ids[50]
    await place.yard.poison(poisoned, timeout=math.inf)
    worker = place.worker()
    await worker.begin()
    await place.publish(ids)
    assigned = await worker.assigned(99)
    assert {one.task_id for one in assigned} == set(ids) - {poisoned}
    task = await place.ended(poisoned)
    assert (task.state, task.error and task.error.type) == (TaskState.FAILED, "INVALID_TASK")
    results = [wire.TaskResult(task_id=one.task_id, attempt=one.attempt, result=b"1") for one in assigned]
    await worker.send(results=results)
    assert {ack.verdict for ack in await worker.acks(99)} == {wire.VERDICT_ACCEPTED}
    worker.call.cancel()
    again = place.worker(session_id=worker.hello.session_id)
    assert (await again.begin()).generation == 2


async def test_a_hello_that_names_nothing_of_much_that_is_large_gets_all_of_it_piece_by_piece(place: Place) -> None:
    ids = await place.tasks(30, payload=b'"' + b"x" * 200_000 + b'"')
    worker = place.worker(slots=31)
    await worker.begin()
    await place.publish(ids)
    assert len(await worker.assigned(30)) == 30
    worker.call.cancel()
    odd = [wire.AttemptRef(task_id=id, attempt=1) for id in ("no id", "\0", ids[0].upper())]
    again = place.worker(session_id=worker.hello.session_id, slots=31, running=odd)
    assert (await again.begin()).generation == 2
    session = place.parts.roster.get(worker.hello.session_id)
    assert session is not None
    assert (len(session.running), session.lacking) == (21, 9)
    received = asyncio.create_task(again.assigned(30))
    while not received.done():
        assert len(session.running) + session.lacking == 30
        await place.parts.upkeep.run_once()
    assert sorted(one.task_id for one in await received) == ids
    assert all(one.resent for one in await received)
    assert (session.lacking, session.free) == (0, 1)


async def test_a_row_that_cannot_even_be_written_keeps_nobody_else_from_being_claimed(
    database: Database, place: Place
) -> None:
    if not isinstance(place.yard, PostgresYard):
        pytest.skip("the store in memory has no constraints")
    ids = await place.tasks(30)
    await place.yard.poison(ids[7], timeout=-1.0)
    await database.fetch("ALTER TABLE taskyard.task ADD CONSTRAINT late CHECK (timeout_seconds > 0) NOT VALID")
    worker = place.worker()
    await worker.begin()
    await place.publish(ids)
    assert {one.task_id for one in await worker.assigned(29)} == set(ids) - {ids[7]}
    assert (await place.task(ids[7])).state == "QUEUED"


async def test_an_entry_of_the_lanes_that_is_no_tasks_is_dropped_alone(place: Place) -> None:
    ids = await place.tasks(20)
    worker = place.worker()
    await worker.begin()
    await place.parts.stores.delivery.lanes.publish({LANE: [(ids[0], 0), ("nobody", 0), *((i, 0) for i in ids[1:])]})
    assert {one.task_id for one in await worker.assigned(20)} == set(ids)
    while (await place.parts.stores.delivery.lanes.depths([LANE]))[LANE].length:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        ({"labels": {"zone": "a\0"}}, "hello.labels[zone]: must be printable text"),
        ({"labels": {"zone": "\x1b[31m"}}, "hello.labels[zone]: must be printable text"),
        ({"labels": {"zone": "a\nb"}}, "hello.labels[zone]: must be printable text"),
        ({"labels": {"zone": "a\u2028b"}}, "hello.labels[zone]: must be printable text"),
        ({"labels": {"zo\0ne": "a"}}, r"hello.labels[zo\x00ne]: not a valid label key"),
        ({"worker": "a\0"}, "hello.worker: must be printable text"),
        ({"pod": "a\n"}, "hello.pod: must be printable text"),
        ({"session_id": "7"}, "hello.session_id: must be a UUID"),
        (
            {"types": ["a\0"]},
            "hello.types: must be letters, digits, '.', '_' and '-', and begin with a letter or digit",
        ),
    ],
)
async def test_a_hello_that_cannot_be_stored_is_refused_by_name(
    place: Place, hello: dict[str, Any], words: str
) -> None:
    worker = place.worker(**hello)
    await worker.send(hello=worker.hello)
    assert await worker.refused() == (grpc.StatusCode.INVALID_ARGUMENT, words)
    assert await place.yard.store.sessions.live() == []


async def test_what_nobody_foresaw_is_told_without_its_text(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("driver's secret")

    monkeypatch.setattr(place.yard.store.sessions, "adopt", fails)
    worker = place.worker()
    await worker.send(hello=worker.hello)
    assert await worker.refused() == (grpc.StatusCode.INTERNAL, "internal error; the server's log tells more")
    assert "driver's secret" in caplog.text


async def test_frames_that_cannot_be_taken_end_the_stream_with_what_is_wrong(place: Place) -> None:
    worker = place.worker()
    await worker.begin()
    await worker.send(results=[wire.TaskResult(task_id=str(uuid.uuid4()), attempt=1, result=b" " * 9 * 1024 * 1024)])
    code, words = await worker.refused()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words.startswith("frame: 94372")
    assert words.endswith(f" bytes, at most {limits.FRAME_BYTES} are allowed")
    raw = place.channel.stream_stream("/taskyard.v1.WorkerService/Session", bytes, bytes)()  # type: ignore[call-arg]
    await raw.write(b"\x0a\xff")
    with pytest.raises(grpc.aio.AioRpcError):
        await raw.read()
    assert await raw.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await raw.details() == "frame: cannot be read as taskyard.v1.WorkerFrame"


async def test_results_that_say_nothing_sensible_cost_their_own_attempt_only(place: Place) -> None:
    ids = await place.tasks(5)
    worker = place.worker()
    await worker.begin()
    await place.publish(ids)
    assigned = {one.task_id: one.attempt for one in await worker.assigned(5)}
    good, unasked, unsaid, empty, deep = ids
    outcomes: dict[str, dict[str, Any]] = {
        good: {"result": b"1"},
        unasked: {"cancelled": True},
        unsaid: {"cancelled": False},
        empty: {},
        deep: {"result": b"[" * 65 + b"]" * 65},
    }
    results = [wire.TaskResult(task_id=one, attempt=assigned[one], **outcome) for one, outcome in outcomes.items()]
    odd = ["", "seven", good.upper(), "\0", "x" * 100_000]
    results += [wire.TaskResult(task_id=one, attempt=1, result=b"1") for one in odd]
    await worker.send(results=results)
    verdicts = {ack.task_id: ack.verdict for ack in await worker.acks(10)}
    assert {verdicts[one] for one in (good, unasked)} == {wire.VERDICT_ACCEPTED}
    assert {verdicts[one] for one in (unsaid, empty, deep, *odd)} == {wire.VERDICT_INVALID}
    assert (await place.task(good)).state == "SUCCEEDED"
    counted = await place.task(unasked)
    assert (counted.state, counted.failures, counted.error and counted.error.type) == (
        TaskState.SCHEDULED,
        1,
        "CANCELLED_UNASKED",
    )
    for one, message in (
        (unsaid, "cancelled: must be true"),
        (empty, "outcome: is required"),
        (deep, "result: nested deeper than 64 levels"),
    ):
        failed = await place.task(one)
        assert failed.error is not None
        assert (failed.state, failed.error.type, failed.error.message) == (TaskState.FAILED, "INVALID_RESULT", message)
    # Told again, it is known.
    await worker.send(results=results[:2])
    assert [ack.verdict for ack in await worker.acks(2)] == [wire.VERDICT_DUPLICATE] * 2


async def test_a_worker_that_says_cancelled_for_ever_uses_the_budget_up(place: Place) -> None:
    (task_id,) = await place.tasks(1)
    worker = place.worker()
    await worker.begin()
    for attempt in range(3):
        await place.parts.stores.delivery.lanes.publish({LANE: [(task_id, attempt)]})
        (one,) = await worker.assigned(1)
        await worker.send(results=[wire.TaskResult(task_id=task_id, attempt=one.attempt, cancelled=True)])
        await worker.acks(1)
        if attempt < 2:
            await place.yard.poison(task_id, state=TaskState.QUEUED)
    task = await place.task(task_id)
    assert (task.state, task.failures, task.error and task.error.type) == (TaskState.FAILED, 3, "CANCELLED_UNASKED")


async def test_an_error_text_that_is_not_utf_8_is_taken_with_replacement_characters(place: Place) -> None:
    ids = await place.tasks(2)
    worker = place.worker()
    await worker.begin()
    await place.publish(ids)
    results = [
        wire.TaskResult(task_id=one.task_id, attempt=one.attempt, error=TaskError(type="E", message="mark"))
        for one in await worker.assigned(2)
    ]
    # gRPC's own client of this language could not send it.
    again = place.channel.stream_stream("/taskyard.v1.WorkerService/Session", bytes, bytes)()  # type: ignore[call-arg]
    hello = wire.Hello(session_id=worker.hello.session_id, types=["demo.echo"], slots=5)
    hello.running.extend(wire.AttemptRef(task_id=one.task_id, attempt=one.attempt) for one in results)
    await again.write(wire.WorkerFrame(hello=hello).SerializeToString())
    await again.read()
    raw = wire.WorkerFrame(results=results).SerializeToString()
    await again.write(raw.replace(b"mark", b"m\xffrk", 1))
    errors = {(await place.ended(one)).error for one in ids}
    assert {error.message for error in errors if error} == {"m\ufffdrk", "mark"}


async def test_compressed_frames_are_not_unpacked(place: Place) -> None:
    call = wire_grpc.WorkerServiceStub(place.channel).Session(compression=grpc.Compression.Gzip)  # type: ignore[call-arg]
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await call.write(wire.WorkerFrame(hello=wire.Hello(session_id="s" * 100_000)))
        await call.read()
    # gRPC's own codes; of such an id the dispatcher itself would say INVALID_ARGUMENT. Its words don't always arrive.
    assert await call.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)


async def test_a_worker_whose_hello_is_on_its_way_when_the_dispatcher_stops_is_sent_on_as_well(place: Place) -> None:
    former = place.worker()
    await former.begin()
    worker = place.worker(session_id=former.hello.session_id)
    async with place.yard.store.transaction() as transaction:
        await transaction.end_session(worker.hello.session_id, 1, "asked for")
        welcome = await waiting(place.yard, worker.begin())
        place.parts.streams.stop()
    assert (await welcome).generation == 2
    assert (await worker.read()).go_away
    (session,) = place.parts.roster
    assert not session.accepting


def impatient(place: Place) -> None:
    streams = place.parts.streams
    streams._settings = streams._settings.model_copy(update={"session_timeout": 1.0, "heartbeat_interval": 0.3})


async def test_a_stream_that_is_given_up_says_why(place: Place) -> None:
    impatient(place)
    late, silent, deaf = place.worker(), place.worker(), place.worker()
    # The call begins, and nothing comes of it.
    await late.call.wait_for_connection()
    await silent.begin()
    await deaf.begin()
    await deaf.send(heartbeat=wire.Heartbeat(sequence=1, heard=0))
    await deaf.send(heartbeat=wire.Heartbeat(sequence=10, heard=0))
    ends = await asyncio.gather(late.refused(), silent.refused(), deaf.refused())
    assert {code for code, _ in ends} == {grpc.StatusCode.ABORTED}
    words = [said for _, said in ends]
    assert words[0] == "no hello within 1 s"
    assert words[1].startswith("no frame for 1.")
    assert words[2].startswith("heard has fallen 3.0 s behind")


async def test_a_worker_that_half_closes_before_its_hello_is_refused(place: Place) -> None:
    worker = place.worker()
    await worker.call.done_writing()
    assert await worker.refused() == (grpc.StatusCode.INVALID_ARGUMENT, "hello: the first frame must have it")
