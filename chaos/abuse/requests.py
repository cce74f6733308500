"""Requests of legal size: dear to read, dear to store, or never read back."""

import asyncio
import random

import httpx

from chaos.abuse.target import NAMESPACE, Target, again_and_again
from taskyard import TaskRequest
from taskyard._gen import task_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskSpec
from taskyard._gen.task_service_pb2_grpc import TaskServiceStub

MEBIBYTE = 1024 * 1024
BATCHES = 64
WATCHERS = 60
WAITS = 5_000
CALLS = 2_000
SHOWN = 20
"""Big tasks that watchers watch."""


async def batches(target: Target) -> None:
    """64 batches of 3.9 MiB at once."""
    payload = "x" * 250_000
    tasks = [
        TaskSpec(namespace=NAMESPACE, type="abuse.batch", selector="nobody=batch", payload=f'"{payload}"'.encode())
        for _ in range(15)
    ]
    for task in tasks:
        task.expires_at.FromDatetime(target.expires_at)
    request = wire.SubmitTasksRequest(tasks=tasks)

    async def act(target: Target) -> None:
        async with target.channel(random.choice(list(target.schedulers))) as channel:
            stub = TaskServiceStub(channel)
            await asyncio.gather(*(stub.SubmitTasks(request) for _ in range(BATCHES)), return_exceptions=True)

    # Each round leaves 250 MiB behind until its tasks expire.
    await again_and_again(target, 120.0, act)


async def bodies(target: Target) -> None:
    """Bodies of 5 MiB in which everything is wrong, over REST and gRPC."""
    zeros = b'{"tasks":[' + b"0," * (5 * MEBIBYTE // 2 - 8) + b"0]}"
    fields = b'{"type":"t",' + b",".join(b'"f%d":0' % n for n in range(400_000)) + b"}"
    filters = b'{"filter":{' + b",".join(b'"f%d":0' % n for n in range(400_000)) + b"}}"
    empties = b"\x0a\x00" * (3 * MEBIBYTE - 64)
    unknown = b"\xf8\x3f\x01" * (2 * MEBIBYTE - 64)

    async def act(target: Target) -> None:
        async with httpx.AsyncClient(timeout=30.0) as http:
            base = random.choice(list(target.rest))
            for path, body in (("tasks:batch", zeros), ("tasks", fields), ("tasks:redrive", filters)):
                await http.post(f"{base}/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        async with target.channel(random.choice(list(target.schedulers))) as channel:
            call = channel.unary_unary("/taskyard.v1.TaskService/SubmitTasks", bytes, bytes)
            await asyncio.gather(call(empties), call(unknown), return_exceptions=True)

    await again_and_again(target, 5.0, act)


async def readers(target: Target) -> None:
    """Watches of big tasks that nobody reads, thousands of waits on one connection, bursts of single submits."""
    async with target.client() as client:
        big = [
            TaskRequest("abuse.big", "x" * 250_000, selector="nobody=big", expires_at=target.expires_at)
            for _ in range(SHOWN)
        ]
        ids = [handle.id for handle in await client.submit_many(big) if not isinstance(handle, Exception)]

    async def act(target: Target) -> None:
        async with target.channel(random.choice(list(target.schedulers))) as channel:
            stub = TaskServiceStub(channel)
            # Never iterated: what the server sends stays where it is.
            watches = [stub.WatchTasks(wire.WatchTasksRequest(ids=ids)) for _ in range(WATCHERS)]
            await asyncio.gather(
                *(stub.WaitTask(wire.WaitTaskRequest(id=ids[n % len(ids)])) for n in range(WAITS)),
                *(stub.SubmitTask(_single(target)) for _ in range(CALLS)),
                return_exceptions=True,
            )
            for watch in watches:
                watch.cancel()

    await again_and_again(target, 20.0, act)


def _single(target: Target) -> wire.SubmitTaskRequest:
    request = wire.SubmitTaskRequest(
        task=TaskSpec(namespace=NAMESPACE, type="abuse.single", selector="nobody=single", payload=b"1")
    )
    request.task.expires_at.FromDatetime(target.expires_at)
    return request
