"""Workers without the SDK's good manners: one stops listening, one repeats itself."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import grpc
import orjson

from chaos.history.events import Ended, Started
from chaos.history.journal import Journal
from chaos.workloads.performance import EASY, digest_of, result
from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.worker_service_pb2_grpc import WorkerServiceStub

HEARTBEAT = 1.0
DEAF_SECONDS = 20.0
REPLAY_SECONDS = 6.0
"""How long a stream lasts."""
GONE = 5.0
"""Seconds between streams: longer than a broken session's grace."""
KEPT = 0.2
"""Share of the results that are not told until the session is lost."""
UNASKED = 0.3
"""Share of the tasks of which clients cancel some, for which it says that it was told to stop."""
MEMORY = 200
"""Results remembered for repeating."""


@dataclass(frozen=True, slots=True)
class Fellow:
    """Who misbehaves."""

    dispatchers: Sequence[str]
    session: str
    name: str
    slots: int
    labels: Mapping[str, str]
    queues: tuple[str, ...]

    def hello(self) -> wire.WorkerFrame:
        """Its first frame, which never admits to hold anything."""
        return wire.WorkerFrame(
            hello=wire.Hello(
                session_id=self.session,
                worker=self.name,
                types=EASY,
                slots=self.slots,
                labels=self.labels,
                queues=self.queues,
            )
        )


async def deaf(fellow: Fellow, journal: Journal) -> None:
    """Over and over: says hello, hears the welcome, then only talks. It starts nothing, so there is nothing to log."""
    del journal
    while True:
        await _episode(replace(fellow, session=str(uuid4())), _only_talk, DEAF_SECONDS)


async def replay(fellow: Fellow, journal: Journal) -> None:
    """Over and over: works, but keeps some results until its session is lost, and says everything several times."""
    repeater = _Repeater(fellow, journal)
    while True:
        await _episode(fellow, repeater.work, REPLAY_SECONDS)


async def _episode(fellow: Fellow, act: Callable[["_Stream"], Awaitable[None]], seconds: float) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError, StopAsyncIteration, TimeoutError):
        async with grpc.aio.insecure_channel(random.choice(fellow.dispatchers)) as channel, asyncio.timeout(seconds):
            await act(_Stream(channel, fellow.hello()))
    await asyncio.sleep(GONE)


class _Stream:
    """An open stream, which goes on sending heartbeats whatever becomes of what the dispatcher says."""

    def __init__(self, channel: grpc.aio.Channel, hello: wire.WorkerFrame) -> None:
        self._outgoing: asyncio.Queue[wire.WorkerFrame] = asyncio.Queue()
        self.heard = 0
        self.say(hello)
        self.frames = aiter(WorkerServiceStub(channel).Session(self._said()))

    def say(self, frame: wire.WorkerFrame) -> None:
        """Sends a frame."""
        self._outgoing.put_nowait(frame)

    async def _said(self) -> AsyncIterator[wire.WorkerFrame]:
        sequence = 0
        while True:
            try:
                yield await asyncio.wait_for(self._outgoing.get(), HEARTBEAT)
            except TimeoutError:
                sequence += 1
                yield wire.WorkerFrame(heartbeat=wire.Heartbeat(sequence=sequence, heard=self.heard))


async def _only_talk(stream: _Stream) -> None:
    await anext(stream.frames)
    await asyncio.Event().wait()


class _Repeater:
    """Runs assignments at once; remembers what it said, and says it again."""

    def __init__(self, fellow: Fellow, journal: Journal) -> None:
        self._fellow = fellow
        self._journal = journal
        self._said: deque[wire.TaskResult] = deque(maxlen=MEMORY)
        self._kept: list[wire.TaskResult] = []
        self._known: set[tuple[str, int]] = set()

    async def work(self, stream: _Stream) -> None:
        """One stream: brings home first what it kept, since by now its session was given up."""
        async for frame in stream.frames:
            stream.heard = max(stream.heard, frame.heartbeat.sequence)
            if frame.HasField("welcome"):
                self._say(stream, self._kept)
                self._kept = []
            results = [self._run(task) for task in frame.assignments if (task.task_id, task.attempt) not in self._known]
            keep = {done.task_id for done in results if random.random() < KEPT}
            self._kept += [done for done in results if done.task_id in keep]
            self._say(stream, [done for done in results if done.task_id not in keep])

    def _say(self, stream: _Stream, fresh: Sequence[wire.TaskResult]) -> None:
        old = random.sample(list(self._said), k=min(len(self._said), 3))
        stream.say(wire.WorkerFrame(results=[*fresh, *fresh[:1], *old]))
        self._said += fresh

    def _run(self, task: wire.Assignment) -> wire.TaskResult:
        self._known.add((task.task_id, task.attempt))
        attempt = (self._fellow.name, self._fellow.session, task.task_id, task.attempt)
        self._journal.append(Started(self._journal.now(), *attempt))
        if task.type == "chaos.cancelled" and random.random() < UNASKED:
            self._journal.append(Ended(self._journal.now(), *attempt, "STOPPED"))
            return wire.TaskResult(task_id=task.task_id, attempt=task.attempt, cancelled=True)
        returned = result(orjson.loads(task.payload), task.attempt)
        self._journal.append(Ended(self._journal.now(), *attempt, "SUCCEEDED", digest_of(returned)))
        return wire.TaskResult(task_id=task.task_id, attempt=task.attempt, result=orjson.dumps(returned))
