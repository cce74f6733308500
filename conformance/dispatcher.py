"""A dispatcher that does what a case says, over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from conformance.documents import build, document
from conformance.door import Door
from taskyard_core.wire.gen import worker_service_pb2 as wire

_MIB = 1024 * 1024
_KINDS = {"results": "result", "released": "released", "progress": "progress"}

Auto = frozenset[str]
"""What it does by itself: `welcome`, `echo` heartbeats, `ack` results, `end` streams after their welcome."""


@dataclass(slots=True)
class Item:
    """One thing that a worker said: a hello, one result, one heartbeat …"""

    kind: str
    content: Any
    frame: int
    """The number of the frame it came in, from 0."""
    at: float
    used: bool = False
    """An expectation has met it."""


@dataclass(slots=True)
class Stream:
    """One call of `Session`."""

    dispatcher: str
    opened: float
    hello: dict[str, Any] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes of each frame."""
    results: list[int] = field(default_factory=list)
    """Results in each frame."""
    alone: list[int] = field(default_factory=list)
    """Different fields in each frame."""
    sent: list[tuple[float, wire.DispatcherFrame]] = field(default_factory=list)
    welcomed: float | None = None
    first_echo: int | None = None
    ended: float | None = None
    """When the worker ended it, or it broke."""
    half_closed: bool = False
    """The worker has closed its side in order."""
    cut: bool = False
    """The case broke the connection: when the worker noticed is not seen here."""
    outgoing: asyncio.Queue[wire.DispatcherFrame | tuple[grpc.StatusCode, str]] = field(default_factory=asyncio.Queue)


class Dispatcher:
    """Takes streams one after another. A case waits for them with `took`, and for what they bring with `changed`."""

    def __init__(self, name: str, auto: Auto, welcome: dict[str, Any]) -> None:
        self.name = name
        self.auto = auto
        self.welcome = welcome
        self.door = Door()
        self.streams: list[Stream] = []
        self.taken = 0
        """How many of its streams the case has met."""
        self.changed = asyncio.Condition()
        self._generation = 0
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, behind the door."""
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", 16 * _MIB), ("grpc.so_reuseport", 0)],
        )
        handler = grpc.stream_stream_rpc_method_handler(
            self._session, response_serializer=wire.DispatcherFrame.SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("taskyard.v1.WorkerService", {"Session": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._server = server
        await self.door.listen(port)

    async def stop(self) -> None:
        """End everything."""
        await self.door.close()
        if self._server is not None:
            await self._server.stop(None)

    @property
    def current(self) -> Stream:
        """The stream that the case has met last."""
        return self.streams[self.taken - 1]

    def cut(self) -> None:
        """Break all connections; what the worker does with them is not seen any more."""
        self._uncounted()
        self.door.cut()

    async def become(self, manner: Any) -> None:
        """Change the door."""
        if manner in ("silent", "away"):
            self._uncounted()
        await self.door.become(manner)

    def _uncounted(self) -> None:
        for stream in self.streams:
            stream.cut = stream.cut or stream.ended is None

    def send(self, stream: Stream, frame: wire.DispatcherFrame) -> None:
        """Put a frame on the wire."""
        now = _now()
        stream.sent.append((now, frame))
        if frame.HasField("welcome"):
            stream.welcomed = now
        if frame.HasField("heartbeat") and stream.first_echo is None:
            stream.first_echo = frame.heartbeat.sequence
        stream.outgoing.put_nowait(frame)

    def end(self, stream: Stream, code: grpc.StatusCode, details: str) -> None:
        """End the stream from this side."""
        stream.outgoing.put_nowait((code, details))

    # gRPC

    async def _session(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[wire.DispatcherFrame]:
        stream = Stream(self.name, _now())
        reading = asyncio.ensure_future(self._read(stream, requests))
        try:
            while True:
                reply = await stream.outgoing.get()
                if isinstance(reply, tuple):
                    if reply[0] is not grpc.StatusCode.OK:
                        await context.abort(*reply)
                    return
                yield reply
        finally:
            reading.cancel()
            async with self.changed:
                stream.ended = stream.ended or _now()
                self.changed.notify_all()

    async def _read(self, stream: Stream, requests: AsyncIterator[bytes]) -> None:
        async for raw in requests:
            frame = wire.WorkerFrame.FromString(raw)
            async with self.changed:
                self._take(stream, frame, len(raw))
                self.changed.notify_all()
        async with self.changed:
            # The whole call is cancelled when the worker breaks it off; this is the orderly end of its side.
            stream.half_closed = True
            self.changed.notify_all()
        if any(item.kind == "goodbye" for item in stream.items):
            self.end(stream, grpc.StatusCode.OK, "")

    def _take(self, stream: Stream, frame: wire.WorkerFrame, size: int) -> None:
        content = document(frame)
        number = len(stream.sizes)
        stream.sizes.append(size)
        stream.results.append(len(frame.results))
        stream.alone.append(len(content))
        for name, value in content.items():
            for item in value if name in _KINDS else [value]:
                stream.items.append(Item(_KINDS.get(name, name), item, number, _now()))
        if "hello" in content and number == 0:
            stream.hello = content["hello"]
            self.streams.append(stream)
        self._answer(stream, frame)

    def _answer(self, stream: Stream, frame: wire.WorkerFrame) -> None:
        reply = wire.DispatcherFrame()
        if frame.HasField("hello") and "welcome" in self.auto:
            self.greet(stream)
        if frame.HasField("hello") and "end" in self.auto:
            self.end(stream, grpc.StatusCode.UNAVAILABLE, "as the case says")
        if frame.HasField("heartbeat") and "echo" in self.auto:
            reply.heartbeat.sequence = frame.heartbeat.sequence
        if "ack" in self.auto:
            for result in frame.results:
                reply.acks.add(task_id=result.task_id, attempt=result.attempt, verdict=wire.VERDICT_ACCEPTED)
        if reply.ByteSize():
            self.send(stream, reply)

    def greet(self, stream: Stream, content: dict[str, Any] | None = None) -> None:
        """Answer the hello as the case's `welcome` says."""
        self._generation += 1
        frame = wire.DispatcherFrame()
        build(
            frame,
            {"welcome": {"dispatcher": self.name, "generation": self._generation, **self.welcome, **(content or {})}},
        )
        self.send(stream, frame)


def _now() -> float:
    return asyncio.get_running_loop().time()
