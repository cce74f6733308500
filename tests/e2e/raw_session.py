"""A worker session by hand: frames over gRPC, without the SDK's good manners."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen.worker_service_pb2_grpc import WorkerServiceStub

PATIENCE = 10.0


class RawSession:
    """An open stream whose hello has been welcomed."""

    def __init__(self, outgoing: "asyncio.Queue[wire.WorkerFrame]", incoming: AsyncIterator[wire.DispatcherFrame]):
        self._outgoing = outgoing
        self._incoming = incoming
        self.welcome = wire.Welcome()
        self.heard = 0
        """The newest echo of a heartbeat."""

    async def next(self) -> wire.DispatcherFrame:
        """The next frame from the dispatcher."""
        async with asyncio.timeout(PATIENCE):
            frame = await anext(self._incoming)
        self.heard = max(self.heard, frame.heartbeat.sequence)
        return frame

    def send(self, frame: wire.WorkerFrame) -> None:
        """Sends a frame."""
        self._outgoing.put_nowait(frame)

    async def assignment(self) -> wire.Assignment:
        """The next task that is handed out."""
        while True:
            for assignment in (await self.next()).assignments:
                return assignment

    async def verdict(self, result: wire.TaskResult) -> wire.Verdict.ValueType:
        """Reports a result and waits for the dispatcher's word on it."""
        self.send(wire.WorkerFrame(results=[result]))
        while True:
            for ack in (await self.next()).acks:
                if (ack.task_id, ack.attempt) == (result.task_id, result.attempt):
                    return ack.verdict


@asynccontextmanager
async def raw_session(
    address: str,
    session_id: str,
    *,
    types: Sequence[str],
    running: Sequence[tuple[str, int]] = (),
    slots: int = 0,
    secret: bytes = b"",
) -> AsyncIterator[RawSession]:
    """Says hello at a dispatcher; without slots as a draining worker, which brings results and takes no tasks.

    At the end the stream breaks, as it would with a worker that is lost.
    """
    held = [wire.AttemptRef(task_id=task, attempt=attempt) for task, attempt in running]
    hello = wire.Hello(
        session_id=session_id,
        worker="by-hand",
        types=types,
        slots=slots or 1,
        running=held,
        draining=not slots,
        secret=secret,
    )
    outgoing: asyncio.Queue[wire.WorkerFrame] = asyncio.Queue()
    outgoing.put_nowait(wire.WorkerFrame(hello=hello))
    async with grpc.aio.insecure_channel(address) as channel:
        call = WorkerServiceStub(channel).Session(_frames(outgoing))
        session = RawSession(outgoing, aiter(call))
        session.welcome.CopyFrom((await session.next()).welcome)
        yield session
        call.cancel()


async def _frames(outgoing: "asyncio.Queue[wire.WorkerFrame]") -> AsyncIterator[wire.WorkerFrame]:
    while True:
        yield await outgoing.get()
