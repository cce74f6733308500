"""Waiting for results, and looking after tasks."""

import asyncio
import math
import uuid
from typing import Any

import grpc
import pytest

from taskyard import (
    AttemptOutcome,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskFilter,
    TaskRequest,
    TaskState,
    TaskyardError,
)
from taskyard._gen import task_pb2
from tests.unit.sdk.stub import StubScheduler, failure, serving


async def test_result_of_a_task_that_ends_later(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    result = asyncio.create_task(handle.result())
    await stub.watch_opened.acquire()
    assert not result.done()
    await stub.end(handle.id, result=b'{"sum":3}')
    assert await result == {"sum": 3}
    assert await handle.state() is TaskState.SUCCEEDED


async def test_simultaneous_waits_share_streams(client: Client, stub: StubScheduler) -> None:
    handles = await asyncio.gather(*(client.submit("demo.echo", n) for n in range(1200)))
    results = asyncio.gather(*(handle.result() for handle in handles))
    await stub.watch_opened.acquire()
    await stub.watch_opened.acquire()
    assert [len(ids) for ids in stub.watched] == [1000, 200]
    for n, handle in enumerate(handles):
        await stub.end(handle.id, result=str(n).encode())
    assert await results == list(range(1200))


async def test_waits_that_begin_one_by_one_are_merged(client: Client, stub: StubScheduler) -> None:
    handles = await asyncio.gather(*(client.submit("demo.echo", n) for n in range(60)))
    results = []
    for handle in handles:
        results.append(asyncio.create_task(handle.result()))
        await stub.watch_opened.acquire()
    assert len(client._watcher._streams) <= 8
    for handle in handles:
        await stub.end(handle.id, result=b"1")
    assert await asyncio.gather(*results) == [1] * 60
    assert sum(map(len, stub.watched)) < 60 * 8


async def test_two_waits_for_one_task(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    first, second = (asyncio.create_task(handle.result()) for _ in range(2))
    await stub.watch_opened.acquire()
    first.cancel()
    await stub.end(handle.id, result=b"2")
    assert await second == 2
    assert first.cancelled()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (task_pb2.TASK_STATE_FAILED, TaskFailed),
        (task_pb2.TASK_STATE_CANCELLED, TaskCancelled),
        (task_pb2.TASK_STATE_EXPIRED, TaskExpired),
    ],
)
async def test_result_of_a_task_without_one(
    client: Client, stub: StubScheduler, state: task_pb2.TaskState.ValueType, error: type[Exception]
) -> None:
    handle = await client.submit("demo.echo")
    await stub.end(handle.id, state)
    with pytest.raises(error, match="no such town") as caught:
        await handle.result()
    assert getattr(caught.value, "task").id == handle.id  # noqa: B009 - the base class has no task


async def test_result_within_a_time(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s; it goes on"):
        await handle.result(timeout=0.05)
    assert not client._watcher._streams or all(not stream.ids for stream in client._watcher._streams)


async def test_result_of_an_unknown_task(client: Client) -> None:
    with pytest.raises(NotFound, match="task-0"):
        await client.handle("task-0").result()


async def test_what_is_no_id_does_not_disturb_other_waits(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    await stub.end(handle.id, result=b"6")
    handles = (client.handle("nonsense"), handle, client.handle("rubbish"))
    outcomes = await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    assert list(map(str, outcomes)) == ["id: 'nonsense' is no id", "6", "id: 'rubbish' is no id"]
    assert isinstance(outcomes[0], InvalidArgument)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_result_survives_broken_streams(client: Client, stub: StubScheduler, code: grpc.StatusCode) -> None:
    handle = await client.submit("demo.echo")
    stub.failures.append(failure(code, code.name))
    result = asyncio.create_task(handle.result())
    await stub.watch_opened.acquire()
    await stub.watch_opened.acquire()
    await stub.end(handle.id, result=b"3")
    assert await result == 3


async def test_result_survives_a_restart_of_the_scheduler(stub: StubScheduler) -> None:
    async with serving(stub) as address:
        client = Client(address)
        handle = await client.submit("demo.echo")
        result = asyncio.create_task(handle.result())
        await stub.watch_opened.acquire()
    await stub.end(handle.id, result=b"4")
    async with serving(stub, address), client:
        assert await result == 4


async def test_list_follows_pages(client: Client, stub: StubScheduler) -> None:
    handles = await asyncio.gather(*(client.submit("demo.echo", n) for n in range(25)))
    tasks = [task async for task in client.list(page_size=10)]
    assert [task.id for task in tasks] == [handle.id for handle in handles]
    await stub.end(handles[3].id, task_pb2.TASK_STATE_FAILED)
    failed = [task async for task in client.list(TaskFilter(state=TaskState.FAILED))]
    assert [task.id for task in failed] == [handles[3].id]
    assert failed[0].error is not None
    assert failed[0].error.type == "ValueError"


async def test_pages_of_large_tasks_are_made_smaller(client: Client, stub: StubScheduler) -> None:
    requests = [TaskRequest("demo.echo", "x" * 250_000) for _ in range(100)]
    await client.submit_many(requests)
    assert len([task async for task in client.list(page_size=100)]) == 100
    assert stub.pages == [100, 50, 50]


async def test_single_tasks(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    with pytest.raises(FailedPrecondition, match="not FAILED"):
        await client.redrive(handle.id)
    await stub.end(handle.id, task_pb2.TASK_STATE_FAILED)
    assert (await client.redrive(handle.id)).state is TaskState.QUEUED
    assert (await handle.cancel()).state is TaskState.CANCELLED
    crashed, running = await client.attempts(handle.id)
    assert (crashed.outcome, running.outcome) == (AttemptOutcome.CRASHED, None)
    with pytest.raises(NotFound):
        await client.get("task-0")


async def test_dead_letters(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    await stub.end(handle.id, task_pb2.TASK_STATE_FAILED)
    assert (await client.redrive_many(TaskFilter(error_type="ValueError"), dry_run=True)).ids == (handle.id,)
    assert (await client.purge_many(TaskFilter(queue="q", type="t"), limit=5)).count == 1
    request = stub.purged[0]
    assert (request.filter.namespace, request.filter.queue, request.filter.type) == ("tests", "q", "t")
    assert (request.limit, request.dry_run) == (5, False)
    with pytest.raises(InvalidArgument, match="limit"):
        await client.purge_many(limit=0)
    with pytest.raises(InvalidArgument, match="state"):
        await client.purge_many(TaskFilter(state=TaskState.UNKNOWN))


async def test_cluster(client: Client) -> None:
    cluster = await client.cluster()
    assert cluster.leader is not None
    assert (cluster.leader.id, cluster.leader.term, len(cluster.dispatchers)) == ("d1", 7, 2)
    worker, on_the_next_page = await client.workers()
    assert (worker.labels, worker.slots) == ({"io": "ssd"}, 4)
    assert (on_the_next_page.name, on_the_next_page.slots) == ("w2", 2)
    (queue,) = await client.queues()
    assert queue.oldest_age is not None
    assert (queue.namespace, queue.oldest_age.total_seconds()) == ("tests", 0.5)


@pytest.mark.parametrize("write", [str.upper, uuid.UUID, lambda text: text.replace("-", "")])
async def test_an_id_may_be_written_in_other_ways(client: Client, stub: StubScheduler, write: Any) -> None:
    known, unknown = "01a2239b-6067-7109-b38d-ffad1cdcfb6a", "01a2239b-6067-7109-b38d-ffffffffffff"
    stub.tasks[known] = task_pb2.Task(id=known, state=task_pb2.TASK_STATE_SUCCEEDED, payload=b"1", result=b"1")
    async with asyncio.timeout(10):
        assert await client.result(write(known)) == 1
        assert (await client.get(write(known))).id == known
        assert client.handle(write(known)).id == known
        with pytest.raises(NotFound):
            await client.wait(write(unknown))


@pytest.mark.parametrize("id", [5, None, b"x", ["x"]])
async def test_an_id_that_is_no_text_is_named(client: Client, id: Any) -> None:
    async with asyncio.timeout(10):
        for call in (client.get, client.cancel, client.redrive, client.attempts, client.wait, client.result):
            with pytest.raises(InvalidArgument, match=r"^id: must be text, got "):
                await call(id)
    with pytest.raises(InvalidArgument, match=r"^id: must be text, got "):
        client.handle(id)


@pytest.mark.parametrize("timeout", [math.nan, "5", [1]])
async def test_a_time_that_is_none_is_named(client: Client, timeout: Any) -> None:
    handle = await client.submit("demo.echo")
    async with asyncio.timeout(10):
        with pytest.raises(InvalidArgument, match=r"^timeout: must be a number of seconds"):
            await handle.result(timeout)


async def test_settings_of_a_wrong_type_are_named(client: Client) -> None:
    wrong: Any = 5
    with pytest.raises(InvalidArgument, match=r"^namespace: must be text, got int"):
        Client(namespace=wrong)
    with pytest.raises(InvalidArgument, match=r"^queue: must be text, got int"):
        await anext(client.list(TaskFilter(queue=wrong)))
    wrong = "5"
    with pytest.raises(InvalidArgument, match=r"^page_size: must be an integer, got str"):
        await anext(client.list(page_size=wrong))
    with pytest.raises(InvalidArgument, match=r"^limit: must be an integer, got str"):
        await client.redrive_many(limit=wrong)


async def test_what_breaks_a_watch_ends_its_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(error: object, address: str) -> None:
        raise RuntimeError("no words for it")

    monkeypatch.setattr("taskyard._status.of_call", broken)
    async with asyncio.timeout(10):
        with pytest.raises(TaskyardError, match="watching failed: RuntimeError: no words for it"):
            await client.wait("no id")


@pytest.mark.parametrize("bad", ["\ud800", "é", "x" * 300_000, 7])
async def test_what_cannot_be_sent_does_not_disturb_other_waits(client: Client, stub: StubScheduler, bad: Any) -> None:
    handle = await client.submit("demo.echo")
    refused = asyncio.create_task(client.wait(bad))
    honest = [asyncio.create_task(client.wait(id)) for id in (handle.id.upper(), handle.id)]
    await stub.watch_opened.acquire()
    await stub.end(handle.id)
    async with asyncio.timeout(10):
        assert [(await task).id for task in honest] == [handle.id] * 2
        with pytest.raises(InvalidArgument) as caught:
            await refused
    assert caught.value.violations[0].field == "id"
