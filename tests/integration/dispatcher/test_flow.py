"""What one worker sends or does not read costs the dispatcher a bounded amount, and the other workers little."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable

import grpc
import pytest

from taskyard.worker import Worker
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.raw_session import RawSession, raw_session
from tests.integration.dispatcher.conftest import Yard, YardMaker

QUICK = ("--heartbeat-interval", "0.2", "--session-timeout", "1", "--stream-grace", "0.5")


async def assigned(session: RawSession, count: int) -> list[wire.Assignment]:
    """The tasks that are handed out, once there are so many."""
    found: list[wire.Assignment] = []
    while len(found) < count:
        found += (await session.next()).assignments
    return found


def result(assignment: wire.Assignment, document: bytes = b"1") -> wire.TaskResult:
    return wire.TaskResult(task_id=assignment.task_id, attempt=assignment.attempt, result=document)


async def acknowledged(session: RawSession, count: int) -> list[wire.Verdict.ValueType]:
    """The verdicts, once there are so many."""
    found: list[wire.Verdict.ValueType] = []
    while len(found) < count:
        found += [ack.verdict for ack in (await session.next()).acks]
    return found


async def heartbeats(session: RawSession, interval: float) -> None:
    """A worker's heartbeats, whether the stream takes them or not: they wait with all else that is to be sent."""
    for sequence in range(1, 10_000):
        session.send(wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=sequence, heard=session.heard)))
        await asyncio.sleep(interval)


async def test_many_large_results_are_all_stored_in_little_memory(yard: Yard, large: bytes) -> None:
    count = 150
    await yard.submit(count, type="demo.large")
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.large"], slots=count) as session:
        beats = asyncio.create_task(heartbeats(session, 3.0))
        for assignment in await assigned(session, count):
            session.send(wire.WorkerFrame(results=[result(assignment, large)]))
        assert set(await acknowledged(session, count)) == {wire.VERDICT_ACCEPTED}
        beats.cancel()
    assert await yard.count("SUCCEEDED") == count
    assert yard.peak < 250


async def test_a_worker_that_is_held_up_is_neither_silent_nor_deaf(yard_maker: YardMaker, large: bytes) -> None:
    """For longer than the session's time-out nothing can be stored, so its stream is not read, and nothing piles up."""
    count = 150
    async with yard_maker(*QUICK) as yard:
        await yard.submit(count, type="demo.large")
        async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.large"], slots=count) as session:
            assignments = await assigned(session, count)
            async with yard.database.transaction() as transaction:
                await transaction.execute("SELECT 1 FROM taskyard.task FOR UPDATE")
                for assignment in assignments:
                    session.send(wire.WorkerFrame(results=[result(assignment, large)]))
                beats = asyncio.create_task(heartbeats(session, 0.2))
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    await transaction.execute("SELECT 1")
                    # Something comes all the while.
                    await asyncio.wait_for(session.next(), 1)
            assert set(await acknowledged(session, count)) == {wire.VERDICT_ACCEPTED}
            beats.cancel()
        assert await yard.count("SUCCEEDED") == count
        assert yard.peak < 200


async def test_a_worker_of_the_sdk_keeps_its_session_while_it_is_held_up(yard_maker: YardMaker) -> None:
    count = 40
    worker = Worker(slots=count)

    @worker.task("demo.large")
    async def large_result(_: object) -> str:
        await released.wait()
        return "x" * 1_000_000

    async with yard_maker(*QUICK) as yard:
        worker.override(dispatchers=yard.address)
        released = asyncio.Event()
        await yard.submit(count, type="demo.large")
        serving = asyncio.create_task(worker.serve())
        await yard.reached("RUNNING", count)
        async with yard.database.transaction() as transaction:
            await transaction.execute("SELECT 1 FROM taskyard.task FOR UPDATE")
            released.set()
            until = time.monotonic() + 3
            while time.monotonic() < until:
                await transaction.execute("SELECT pg_sleep(0.1)")
        await yard.reached("SUCCEEDED", count)
        generations = await yard.database.fetch("SELECT generation, live FROM taskyard.session")
        assert [tuple(row) for row in generations] == [(1, True)]
        worker.stop()
        await serving


class Flood:
    """A worker that sends such frames faster than they can be read. Without asyncio, whose client may hide the
    dispatcher's word behind that of its own failed write.
    """

    def __init__(self, address: str, make: Callable[[], wire.WorkerFrame], most: int) -> None:
        hello = wire.Hello(session_id=str(uuid.uuid4()), worker="flood", types=["demo.x"], slots=1, draining=True)
        frames = itertools.chain([wire.WorkerFrame(hello=hello)], (make() for _ in range(most)))
        self._channel = grpc.insecure_channel(address)
        self._call = WorkerServiceStub(self._channel).Session(frames)
        self.ended = asyncio.create_task(asyncio.to_thread(self._read))

    def stop(self) -> None:
        """Break it off."""
        self._call.cancel()  # type: ignore[no-untyped-call]
        self._channel.close()

    def _read(self) -> grpc.StatusCode:
        try:
            for _ in self._call:
                pass
        except grpc.RpcError:
            pass
        code: grpc.StatusCode = self._call.code()
        return code


def strangers(count: int, document: bytes = b"1") -> wire.WorkerFrame:
    """Results for attempts that nobody has."""
    return wire.WorkerFrame(
        results=[wire.TaskResult(task_id=str(uuid.uuid4()), attempt=1, result=document) for _ in range(count)]
    )


REFUSED = {
    "results": lambda: strangers(1000),
    "results of nothing": lambda: wire.WorkerFrame(results=[wire.TaskResult(task_id="x")] * 1000),
    "releases": lambda: wire.WorkerFrame(released=[wire.AttemptRef(task_id="x")] * 1000),
    "progress": lambda: wire.WorkerFrame(progress=[wire.TaskProgress(task_id="x")] * 9000),
    "too many": lambda: wire.WorkerFrame(released=[wire.AttemptRef()] * 10_001),
}
HELD_UP = {
    "nothing": wire.WorkerFrame,
    "heartbeats": lambda: wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=1)),
    "large results": lambda: strangers(1, b'"' + b"x" * 1_000_000 + b'"'),
}


@pytest.mark.parametrize("kind", [*REFUSED, *HELD_UP])
async def test_who_only_sends_what_is_of_no_use_is_held_up_or_refused(yard: Yard, kind: str) -> None:
    """Meanwhile another worker's results are acknowledged as ever."""
    flood = Flood(yard.address, (REFUSED | HELD_UP)[kind], 100_000)
    async with raw_session(yard.address, str(uuid.uuid4()), types=["demo.x"], slots=1) as session:
        for _ in range(30):
            await yard.submit(1, type="demo.x")
            (assignment,) = await assigned(session, 1)
            assert await session.verdict(result(assignment)) == wire.VERDICT_ACCEPTED
    if kind in REFUSED:
        assert await flood.ended is grpc.StatusCode.RESOURCE_EXHAUSTED
    else:
        assert not flood.ended.done()
        flood.stop()
        await flood.ended
    assert yard.peak < 150
    assert yard.processor < 4


async def test_a_worker_that_does_not_read_is_given_no_more_than_a_little(yard: Yard) -> None:
    """It has slots for all, and 100 MiB wait for it: what it does not read stays where others can have it."""
    await yard.submit(400, type="demo.large", payload=b'"' + b"x" * (256 * 1024 - 2) + b'"')
    async with (
        # What is under way to it fills gRPC's windows, too.
        raw_session(yard.address, str(uuid.uuid4()), types=["demo.large"], slots=10_000),
        raw_session(yard.address, str(uuid.uuid4()), types=["demo.large"], slots=100) as reader,
    ):
        done = 0
        while done < 200:
            for assignment in (await reader.next()).assignments:
                reader.send(wire.WorkerFrame(results=[result(assignment)]))
                done += 1
    assert yard.peak < 200
