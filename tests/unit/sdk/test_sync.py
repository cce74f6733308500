"""The blocking client, from several threads."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskyard import Client, InvalidArgument, SyncClient, SyncTaskHandle, TaskHandle, TaskRequest, TaskState
from tests.unit.sdk.stub import StubScheduler


def use_from_threads(address: str) -> list[SyncTaskHandle]:
    with SyncClient(address) as client, ThreadPoolExecutor(16) as threads:
        return list(threads.map(lambda n: client.submit("demo.echo", n), range(200)))


async def test_many_threads_share_a_client(address: str, stub: StubScheduler) -> None:
    handles = await asyncio.to_thread(use_from_threads, address)
    assert [stub.tasks[handle.id].payload for handle in handles] == [str(n).encode() for n in range(200)]


async def test_all_verbs(address: str, stub: StubScheduler) -> None:
    def use() -> None:
        with SyncClient(address) as client:
            handle = client.submit("demo.echo", 1, priority=7)
            many = client.submit_many([TaskRequest("demo.echo", 2), TaskRequest("demo.echo", priority=11)])
            assert [type(outcome) for outcome in many] == [SyncTaskHandle, InvalidArgument]
            assert [task.payload for task in client.list(page_size=1)] == [1, 2]
            assert next(client.list(page_size=1)).id == handle.id
            asyncio.run_coroutine_threadsafe(stub.end(handle.id, result=b"5"), loop).result()
            assert handle.result(timeout=5) == 5
            assert handle.state() is TaskState.SUCCEEDED
            assert client.handle(handle.id).cancel().state is TaskState.CANCELLED
            assert len(client.attempts(handle.id)) == 2
            assert client.redrive_many(dry_run=True).count == 0
            assert client.purge_many().count == 0
            assert (len(client.queues()), len(client.workers()), client.cluster().version) == (1, 2, "0.1.0")

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(use)


async def test_closed(address: str) -> None:
    def use() -> None:
        client = SyncClient(address)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.submit("demo.echo")

    await asyncio.to_thread(use)


@pytest.mark.parametrize(("blocking", "original"), [(SyncClient, Client), (SyncTaskHandle, TaskHandle)])
def test_it_has_the_verbs_of_the_asynchronous_one(blocking: type, original: type) -> None:
    def verbs(kind: type) -> dict[str, list[inspect.Parameter]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in methods
            if not name.startswith("_")
        }

    assert verbs(blocking) == verbs(original)
    if blocking is SyncClient:
        assert inspect.signature(blocking) == inspect.signature(original)
