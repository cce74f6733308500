"""What a dispatcher makes of workers that break off, come back, and repeat themselves."""

import asyncio
import time
import uuid

import grpc
import pytest

from taskyard import AttemptOutcome, TaskHandle, TaskState
from taskyard_core.domain.session_names import public_name
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen.task_pb2 import TaskError
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.raw_session import RawSession, raw_session

GRACE = 3.0
SILENCE = 10.0


def success(assignment: wire.Assignment, result: bytes = b"1") -> wire.TaskResult:
    return wire.TaskResult(task_id=assignment.task_id, attempt=assignment.attempt, result=result)


def address(cluster: DevCluster, number: int = 1) -> str:
    return cluster.addresses(f"dispatcher-{number}")["session"]


async def submit(cluster: DevCluster) -> tuple[TaskHandle, str]:
    """A task of a type that nobody else serves; returns it and its type."""
    type_ = f"by-hand.{uuid.uuid4().hex[:8]}"
    return await cluster.client.submit(type_, 1), type_


async def is_quiet(session: RawSession, seconds: float = 1.5) -> bool:
    """Whether nothing is assigned for a while."""
    try:
        async with asyncio.timeout(seconds):
            await session.assignment()
    except TimeoutError:
        return True
    return False


async def test_a_worker_that_comes_back_keeps_what_it_runs(cluster: DevCluster) -> None:
    """To the same dispatcher, then to another."""
    handle, type_ = await submit(cluster)
    worker = str(uuid.uuid4())
    async with raw_session(address(cluster), worker, types=[type_], slots=1) as session:
        assignment = await session.assignment()
    held = [(assignment.task_id, assignment.attempt)]
    for number in (1, 2):
        async with raw_session(address(cluster, number), worker, types=[type_], slots=1, running=held) as session:
            assert session.welcome.generation == number + 1
            assert await is_quiet(session, GRACE + 1 if number == 1 else 0.5)
            task = await handle.get()
            assert (task.state, task.attempt, task.crashes) == (TaskState.RUNNING, 1, 0)
    async with raw_session(address(cluster, 3), worker, types=[type_], slots=1, running=held) as session:
        assert await session.verdict(success(assignment)) == wire.VERDICT_ACCEPTED
        assert await session.verdict(success(assignment)) == wire.VERDICT_DUPLICATE
        session.send(wire.WorkerFrame(goodbye=True))
    assert await handle.result(timeout=5) == 1
    assert await cluster.records.not_once([handle.id]) == []


async def test_nobody_else_takes_a_session_over(cluster: DevCluster) -> None:
    """Neither with what readers see, nor with the very id; and its worker notices nothing."""
    handle, type_ = await submit(cluster)
    worker, secret = str(uuid.uuid4()), b"0123456789abcdef"
    async with raw_session(address(cluster), worker, types=[type_], slots=1, secret=secret) as session:
        assignment = await session.assignment()
        shown = (await cluster.client.attempts(handle.id))[0].session_id
        assert shown == public_name(worker)
        assert shown in {known["session_id"] for known in (await cluster.workers()).values()}
        for number, wrong in ((1, b""), (2, b"0123456789abcdeF"), (3, b"")):
            with pytest.raises(grpc.aio.AioRpcError, match=r"hello.secret") as refusal:
                async with raw_session(address(cluster, number), worker, types=[type_], slots=1, secret=wrong):
                    raise AssertionError
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with raw_session(address(cluster, 2), str(uuid.uuid4()), types=[type_]) as other:
            assert await other.verdict(success(assignment)) == wire.VERDICT_STALE
            other.send(wire.WorkerFrame(released=[wire.AttemptRef(task_id=assignment.task_id, attempt=1)]))
            other.send(wire.WorkerFrame(progress=[wire.TaskProgress(task_id=assignment.task_id, attempt=1)]))
            failed = wire.TaskResult(task_id=assignment.task_id, attempt=1, error=TaskError(type="No"))
            assert await other.verdict(failed) == wire.VERDICT_STALE
        assert session.welcome.generation == 1
        assert (await handle.get()).progress is None
        assert await session.verdict(success(assignment)) == wire.VERDICT_ACCEPTED
        session.send(wire.WorkerFrame(goodbye=True))
    assert await handle.result(timeout=5) == 1


async def test_a_session_gets_its_secret_when_its_worker_first_shows_one(cluster: DevCluster) -> None:
    """A dispatcher of an older version may have taken its first hello."""
    _, type_ = await submit(cluster)
    worker, secret = str(uuid.uuid4()), b"0123456789abcdef"
    for number, shown in enumerate((b"", b"", secret, secret), start=1):
        async with raw_session(address(cluster), worker, types=[type_], secret=shown) as session:
            assert session.welcome.generation == number
    with pytest.raises(grpc.aio.AioRpcError, match=r"hello.secret"):
        async with raw_session(address(cluster), worker, types=[type_]):
            raise AssertionError


async def test_an_assignment_that_never_arrived_is_sent_again(cluster: DevCluster) -> None:
    _, type_ = await submit(cluster)
    worker = str(uuid.uuid4())
    async with raw_session(address(cluster), worker, types=[type_], slots=1) as session:
        first = await session.assignment()
    async with raw_session(address(cluster, 2), worker, types=[type_], slots=1) as session:
        second = await session.assignment()
        assert second.resent
        assert (second.task_id, second.attempt) == (first.task_id, first.attempt)
        assert await session.verdict(success(second)) == wire.VERDICT_ACCEPTED
        session.send(wire.WorkerFrame(goodbye=True))


async def test_a_half_open_stream_gets_nothing_more(cluster: DevCluster) -> None:
    """The worker has said hello elsewhere while its old stream still seems alive."""
    handle, type_ = await submit(cluster)
    worker = str(uuid.uuid4())
    async with raw_session(address(cluster), worker, types=[type_], slots=2) as old:
        first = await old.assignment()
        held = [(first.task_id, first.attempt)]
        async with raw_session(address(cluster, 2), worker, types=[type_], slots=2, running=held) as new:
            more = [await cluster.client.submit(type_, number) for number in range(3)]
            for _ in more:
                assignment = await new.assignment()
                assert await new.verdict(success(assignment)) == wire.VERDICT_ACCEPTED
            assert await new.verdict(success(first)) == wire.VERDICT_ACCEPTED
            new.send(wire.WorkerFrame(goodbye=True))
            await asyncio.gather(*(task.result(timeout=10) for task in (handle, *more)))
    assert await cluster.records.not_once([handle.id, *(task.id for task in more)]) == []


async def test_a_success_that_comes_late_is_taken_while_nobody_else_has_the_task(cluster: DevCluster) -> None:
    handle, type_ = await submit(cluster)
    worker = str(uuid.uuid4())
    async with raw_session(address(cluster), worker, types=[type_], slots=1) as session:
        assignment = await session.assignment()
    await eventually(lambda: is_queued(handle), within=GRACE + 2)
    async with raw_session(address(cluster, 2), worker, types=[type_]) as session:
        assert await session.verdict(success(assignment)) == wire.VERDICT_ACCEPTED
    assert await handle.result(timeout=5) == 1
    assert [run.outcome for run in await cluster.client.attempts(handle.id)] == [AttemptOutcome.SUCCEEDED]


async def test_a_silent_worker_is_given_up(cluster: DevCluster, figure: Figure) -> None:
    """Its connection stands, but no heartbeat comes."""
    handle, type_ = await submit(cluster)
    async with raw_session(address(cluster), str(uuid.uuid4()), types=[type_], slots=1) as session:
        await session.assignment()
        began = time.monotonic()
        await eventually(lambda: is_queued(handle), within=SILENCE + GRACE + 2)
        figure("silent worker until its task was queued again (s)", time.monotonic() - began)
    assert (await handle.get()).crashes == 1
    await cluster.client.cancel(handle.id)


async def test_a_worker_that_sends_and_does_not_receive_is_given_up(cluster: DevCluster, figure: Figure) -> None:
    """Its heartbeats come, and tell that it hears no echo of them."""
    handle, type_ = await submit(cluster)
    async with raw_session(address(cluster), str(uuid.uuid4()), types=[type_], slots=1) as session:
        await session.assignment()
        for sequence in range(1, 6):
            session.send(wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=sequence, heard=0)))
        began = time.monotonic()
        await eventually(lambda: is_queued(handle), within=GRACE + 2)
        figure("deaf worker until its task was queued again (s)", time.monotonic() - began)
    assert (await handle.get()).crashes == 1
    await cluster.client.cancel(handle.id)


async def is_queued(handle: TaskHandle) -> bool:
    return (await handle.get()).state is TaskState.QUEUED
