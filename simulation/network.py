"""Streams between workers and dispatchers: messages take their time, and connections break in every way they can."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import grpc
import grpc.aio

from simulation.loop import Process, VirtualLoop

Pair = tuple[str, str]
"""A worker's name and a dispatcher's address."""

Serve = Callable[[AsyncIterator[Any], Any], Awaitable[None]]
"""What a server does with a call: `SessionStreams.Session`."""


class StreamEnded(Exception):
    """No more messages come."""


_HALF_CLOSED = object()
"""The sender will send nothing more, but still listens."""
_CLOSED = object()
"""The sender is gone."""


class Line:
    """One direction of a connection: in order, after a while, or never."""

    def __init__(self, network: "Network", arrive: Callable[[Any], None]) -> None:
        self._network = network
        self._arrive = arrive
        self._underway: deque[Any] = deque()
        self._earliest = 0.0
        self.blocked = False
        """What is under way waits, as packets do that are sent again and again."""
        self.lost = False
        """Whatever is sent gets lost, and nobody is told."""

    def send(self, message: Any) -> None:
        """Have it arrive later."""
        if self.lost:
            return
        loop = self._network.loop
        self._underway.append(message)
        # Nothing overtakes.
        self._earliest = max(self._earliest, loop.time() + self._network.delay())
        loop.at(self._earliest, self._deliver)

    def drop(self) -> None:
        """Lose what is under way."""
        self._underway.clear()

    def unblock(self) -> None:
        """Let everything through that waits."""
        self.blocked = False
        while self._underway:
            self._arrive(self._underway.popleft())

    def _deliver(self) -> None:
        if self._underway and not self.blocked:
            self._arrive(self._underway.popleft())


class Connection:
    """A call of WorkerService.Session: the worker's end is this object, the dispatcher's end is a gRPC context."""

    def __init__(self, network: "Network", pair: "Pair", worker: Process, server: Process, serve: Serve) -> None:
        self._network = network
        self.pair = pair
        self.worker = worker
        self.server = server
        self.up = Line(network, self._at_server)
        self.down = Line(network, self._at_worker)
        self.open = True
        self._incoming = _Incoming()
        self._received: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._call: asyncio.Task[None] | None = None
        self._serve = serve

    # The worker's end

    def send(self, frame: Any) -> None:
        """Send a frame to the dispatcher."""
        self.up.send(frame)

    def half_close(self) -> None:
        """Send no more, but listen."""
        self.up.send(_HALF_CLOSED)

    def close(self) -> None:
        """Break it off from the worker's side."""
        if self.open:
            self.open = False
            self.up.send(_CLOSED)
            self._at_worker(_CLOSED)

    @property
    def served(self) -> bool:
        """Whether the dispatcher still serves the call."""
        return self.server.alive and self._call is not None and not self._call.done()

    async def receive(self) -> Any:
        """The next frame; raises StreamEnded."""
        while not self._received:
            self._waiting = self._network.loop.create_future()
            await self._waiting
        if self._received[0] is _CLOSED:
            raise StreamEnded
        return self._received.popleft()

    def _at_worker(self, message: Any) -> None:
        if message is _CLOSED:
            self.open = False
            self._network.forget(self)
        if not self.worker.alive:
            return
        self._received.append(message)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # The dispatcher's end

    def _at_server(self, message: Any) -> None:
        if not self.server.alive:
            return
        if message is _CLOSED:
            self.cancel()
            return
        if self._call is None:
            self._call = self._network.served[self] = self.server.start(self._answer())
        self._incoming.put(None if message is _HALF_CLOSED else message)

    def cancel(self) -> None:
        """As gRPC does it: the handler is cancelled, and perhaps once more while it still ends."""
        self._incoming.close()
        if self._call is not None and not self._call.done():
            self._network.loop.call_soon(
                self._cancel_again, self._network.random.randrange(5), context=self.server.context
            )

    def _cancel_again(self, times: int) -> None:
        if self._call is not None and self._call.cancel() and times:
            self._network.loop.call_soon(self._cancel_again, times - 1)

    async def _answer(self) -> None:
        context = _Context(self.down, self.pair[0])
        try:
            await self._serve(self._incoming, context)
        except grpc.aio.AbortError:
            pass
        except asyncio.CancelledError:
            return
        finally:
            context.over = True
            self.down.send(_CLOSED)
            del self._network.served[self]

    # The network

    def reset(self, told: tuple[bool, bool]) -> None:
        """Lose what is under way; `told` says whether the worker and the dispatcher learn of it, at different times."""
        for line, tell in ((self.down, told[0]), (self.up, told[1])):
            line.drop()
            if tell:
                line.send(_CLOSED)
            line.lost = True

    def end_of(self, process: Process) -> None:
        """A process has died: its kernel tells the other side, unless the network is in the way."""
        line = self.up if process is self.worker else self.down
        line.send(_CLOSED)
        if process is self.worker:
            self.open = False


class _Incoming(AsyncIterator[Any]):
    """The frames of a worker, as the dispatcher's handler reads them."""

    def __init__(self) -> None:
        self._frames: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._over = False

    def put(self, frame: Any) -> None:
        """A frame has arrived; None says that it was the last."""
        if frame is None:
            self._over = True
        else:
            self._frames.append(frame)
        self._wake()

    def close(self) -> None:
        """The connection is gone, and with it what was not read."""
        self._over = True
        self._frames.clear()
        self._wake()

    async def __anext__(self) -> Any:
        while not self._frames:
            if self._over:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._frames.popleft()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class _Context:
    """What a handler uses of grpc.aio.ServicerContext."""

    def __init__(self, down: Line, host: str) -> None:
        self._down = down
        self._host = host
        self.over = False

    async def write(self, frame: Any) -> None:
        """Send a frame to the worker."""
        if self.over:
            raise grpc.aio.UsageError("the call is over")
        self._down.send(frame)

    def peer(self) -> str:
        """Where the call comes from."""
        return f"ipv4:{self._host}:50000"

    async def abort(self, code: grpc.StatusCode, details: str, trailers: Any = ()) -> None:
        """End the call."""
        raise grpc.aio.AbortError(f"{code.name}: {details}")


class Network:
    """Who listens where, and all connections."""

    def __init__(self, loop: VirtualLoop, random: Random, latency: tuple[float, float]) -> None:
        self.loop = loop
        self.random = random
        self._least, self._most = latency
        self._servers: dict[str, tuple[Process, Serve]] = {}
        self._parted: set[tuple[str, str]] = set()
        self.connections: list[Connection] = []
        self.served: dict[Connection, asyncio.Task[None]] = {}
        """Calls that a handler has begun and not ended."""

    def delay(self) -> float:
        """How long a message takes; now and then much longer."""
        share = self.random.random()
        return self._most * 20 * (share - 0.97) if share > 0.99 else self._least + (self._most - self._least) * share

    def listen(self, address: str, process: Process, serve: Serve) -> None:
        """Take calls for a server from now on."""
        self._servers[address] = (process, serve)

    async def hang_up(self, address: str, grace: float) -> None:
        """Take no more calls for a server, and break off those that have not ended within `grace` seconds."""
        server, _ = self._servers.pop(address)
        calls = {call: connection for connection, call in self.served.items() if connection.server is server}
        if calls:
            await asyncio.wait(calls, timeout=grace)
        for call, connection in calls.items():
            if not call.done():
                connection.cancel()
                await asyncio.wait([call])

    def connect(self, worker: Process, pair: Pair) -> Connection | None:
        """Call the server at an address; None where nobody listens."""
        server, serve = self._servers.get(pair[1], (None, None))
        if server is None or serve is None or not server.alive:
            return None
        connection = Connection(self, pair, worker, server, serve)
        self.connections.append(connection)
        worker.at_death.append(lambda: connection.end_of(worker))
        server.at_death.append(lambda: connection.end_of(server))
        if pair in self._parted:
            connection.up.blocked = connection.down.blocked = True
        return connection

    def part(self, pair: Pair) -> None:
        """Nothing gets through between the two until `join`."""
        self._parted.add(pair)
        for connection in self._of(pair):
            connection.up.blocked = connection.down.blocked = True

    def join(self, pair: Pair) -> None:
        """What was sent meanwhile arrives after all."""
        self._parted.discard(pair)
        for connection in self._of(pair):
            connection.up.unblock()
            connection.down.unblock()

    def forget(self, connection: Connection) -> None:
        """The worker knows that it is over."""
        if connection in self.connections:
            self.connections.remove(connection)

    def _of(self, pair: Pair) -> list[Connection]:
        return [connection for connection in self.connections if connection.pair == pair]
