"""Workers: giant hellos, results for what they do not hold, results of the largest size all at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc

from chaos.abuse.target import NAMESPACE, Target, again_and_again
from taskyard import TaskRequest
from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.worker_service_pb2_grpc import WorkerServiceStub

HELLOS_EACH_SECOND = 16
RESULTS = 800
RESULT = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
TYPE = "abuse.result"


async def hellos(target: Target) -> None:
    """Hellos of 261 KiB, sixteen a second, of a few sessions."""
    types = [f"{'t' * 120}{number:04}" for number in range(1000)]
    queues = [f"{'q' * 55}{number:04}" for number in range(1000)]
    labels = {f"{'k' * 55}{number:03}": "v" * 256 for number in range(64)}
    ids = [str(uuid4()) for _ in range(4)]

    async def act(target: Target) -> None:
        hello = wire.Hello(
            session_id=random.choice(ids), namespace=NAMESPACE, types=types, queues=queues, labels=labels, slots=1
        )
        async with target.channel(random.choice(list(target.dispatchers))) as channel:
            stream = WorkerServiceStub(channel).Session(_only(wire.WorkerFrame(hello=hello)))
            async for _ in stream:
                break

    await asyncio.gather(*(again_and_again(target, 4 / HELLOS_EACH_SECOND, act) for _ in range(4)))


async def unheld(target: Target) -> None:
    """Results for attempts that nobody gave it, as fast as they are taken."""

    async def said() -> AsyncIterator[wire.WorkerFrame]:
        yield _hello(slots=10)
        while target.left > 0:
            yield wire.WorkerFrame(
                results=[wire.TaskResult(task_id=str(uuid4()), attempt=1, result=b"1") for _ in range(500)]
            )

    async def act(target: Target) -> None:
        async with target.channel(random.choice(list(target.dispatchers))) as channel:
            async for _ in WorkerServiceStub(channel).Session(said()):
                pass

    await again_and_again(target, 1.0, act)


async def large(target: Target) -> None:
    """800 attempts that return 1 MiB each in the same moment; legal, so all must be stored."""

    async def act(target: Target) -> None:
        async with target.client() as client, target.channel(random.choice(list(target.dispatchers))) as channel:
            request = TaskRequest(TYPE, expires_at=target.expires_at)
            await client.submit_many([request] * RESULTS)
            await _Burst(channel).run()

    # Each round leaves 800 MiB behind until retention.
    await again_and_again(target, 300.0, act)


class _Burst:
    """A worker that collects all assignments before it answers any."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._frames: asyncio.Queue[wire.WorkerFrame] = asyncio.Queue()
        self._acknowledged: set[str] = set()
        self._heard = 0

    async def run(self) -> None:
        """Until all are acknowledged."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._session()
        finally:
            beating.cancel()

    async def _session(self) -> None:
        held: list[wire.Assignment] = []
        self._frames.put_nowait(_hello(slots=RESULTS, type_=TYPE))
        async for frame in WorkerServiceStub(self._channel).Session(self._said()):
            self._heard = max(self._heard, frame.heartbeat.sequence)
            held += frame.assignments
            self._acknowledged |= {ack.task_id for ack in frame.acks}
            if len(held) >= RESULTS:
                for task in held:
                    done = wire.TaskResult(task_id=task.task_id, attempt=task.attempt, result=RESULT)
                    self._frames.put_nowait(wire.WorkerFrame(results=[done]))
                held = []
            if len(self._acknowledged) >= RESULTS:
                return

    async def _said(self) -> AsyncIterator[wire.WorkerFrame]:
        while True:
            yield await self._frames.get()

    async def _beat(self) -> None:
        sequence = 0
        while True:
            sequence += 1
            self._frames.put_nowait(wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=sequence, heard=self._heard)))
            await asyncio.sleep(1.0)


def _hello(*, slots: int, type_: str = "abuse.none") -> wire.WorkerFrame:
    return wire.WorkerFrame(
        hello=wire.Hello(session_id=str(uuid4()), namespace=NAMESPACE, worker="abuser", types=[type_], slots=slots)
    )


async def _only(frame: wire.WorkerFrame) -> AsyncIterator[wire.WorkerFrame]:
    yield frame
    await asyncio.sleep(0.2)
