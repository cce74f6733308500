"""The server that all clients share."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from simulation.memory.pipe import Pipe
from simulation.memory.redis.streams import Streams
from taskyard_core.storage.hints import Message
from taskyard_core.storage.unavailable import StoreUnavailable

Answer = TypeVar("Answer")


class _Listener(NamedTuple):
    client: object
    pipe: Pipe[Message]
    kinds: tuple[type[Message], ...]


class RedisServer:
    """`clock` gives seconds, `word` a new word each time it is asked."""

    def __init__(self, clock: Callable[[], float], word: Callable[[], str]) -> None:
        self.clock = clock
        self.word = word
        self.run_id = word()
        self._streams = Streams()
        self._log: list[Callable[[Streams], object]] = []
        self._next_id = 1
        self._listeners: list[_Listener] = []
        self._up = True

    @property
    def streams(self) -> Streams:
        """What is there, to read. Raises StoreUnavailable while the server is stopped."""
        self._require_up()
        return self._streams

    @property
    def writes(self) -> int:
        """How many writes a replica has to follow."""
        return len(self._log)

    def write(self, operation: Callable[[Streams], Answer]) -> Answer:
        """Do what changes something; it must depend on nothing but the streams."""
        answer = operation(self.streams)
        self._log.append(operation)
        return answer

    def ids(self, count: int) -> int:
        """The first of so many new ids, which are never given again."""
        first, self._next_id = self._next_id, self._next_id + count
        return first

    def hint(self, message: Message) -> None:
        """PUBLISH."""
        self._require_up()
        for listener in self._listeners:
            if type(message) in listener.kinds:
                listener.pipe.send(message)

    def listen(self, client: object, pipe: Pipe[Message], kinds: tuple[type[Message], ...]) -> None:
        """SUBSCRIBE."""
        self._require_up()
        self._listeners.append(_Listener(client, pipe, kinds))

    def hang_up(self, pipe: Pipe[Message]) -> None:
        """A client has closed one connection."""
        self._listeners = [listener for listener in self._listeners if listener.pipe is not pipe]

    def leave(self, client: object) -> None:
        """A client has closed all its connections."""
        self._listeners = [listener for listener in self._listeners if listener.client is not client]

    def wipe(self) -> None:
        """FLUSHALL."""
        self.write(lambda streams: streams.clear())

    def drop(self, lane: str) -> None:
        """DEL of a lane's stream."""
        self.write(lambda streams: streams.lanes.pop(lane, None))

    def stop(self) -> None:
        """End the process: every connection breaks."""
        self._up = False
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.pipe.hang_up(StoreUnavailable("redis", "connection closed by server"))

    def start(self, *, lost: int | None = 0) -> None:
        """Begin another process, or make a replica the primary, that lacks the last `lost` writes; None: has none."""
        self._log = self._log[: 0 if lost is None else max(0, len(self._log) - lost)]
        self._streams = Streams()
        for operation in self._log:
            operation(self._streams)
        self.run_id = self.word()
        self._up = True

    def restart(self, *, lost: int | None = 0) -> None:
        """Stop and start: also what a failover looks like that loses the last writes."""
        self.stop()
        self.start(lost=lost)

    def _require_up(self) -> None:
        if not self._up:
            raise StoreUnavailable("redis", "the server is stopped")
