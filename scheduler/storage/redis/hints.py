"""Hints that somebody should look: one small pub/sub message for a whole batch, and it may be lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis

from scheduler.storage.redis.batch import Batch
from scheduler.storage.redis.keys import Keys


@dataclass(frozen=True, slots=True)
class LanesFilled:
    """Lanes that got entries."""

    names: tuple[str, ...]

    def encode(self) -> bytes:
        """The message's bytes: a JSON array, since selectors hold all kinds of characters."""
        return orjson.dumps(self.names)

    @classmethod
    def decode(cls, data: bytes) -> "LanesFilled":
        """The message of its bytes."""
        return cls(tuple(orjson.loads(data)))


@dataclass(frozen=True, slots=True)
class TasksFinished:
    """Tasks that became terminal, as `raw` bytes: ids with a space between.

    Most readers wait for few tasks or none and need not take the message apart.
    """

    raw: bytes

    @property
    def ids(self) -> list[str]:
        """The tasks' ids."""
        return self.raw.decode().split()

    def encode(self) -> bytes:
        """The message's bytes."""
        return self.raw

    @classmethod
    def of(cls, ids: Iterable[str]) -> "TasksFinished":
        """The message for these ids."""
        return cls(" ".join(ids).encode())

    @classmethod
    def decode(cls, data: bytes) -> "TasksFinished":
        """The message of its bytes."""
        return cls(data)


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Running tasks that somebody asked to cancel."""

    ids: tuple[str, ...]

    def encode(self) -> bytes:
        """The message's bytes: ids with a space between."""
        return " ".join(self.ids).encode()

    @classmethod
    def decode(cls, data: bytes) -> "CancelRequested":
        """The message of its bytes."""
        return cls(tuple(data.decode().split()))


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The stream of hints begins or goes on; any number of them may have been missed before."""


Message = LanesFilled | TasksFinished | CancelRequested
Hint = Message | Reconnected


def channel(keys: Keys, kind: type[Message]) -> str:
    """The channel that carries messages of a kind."""
    channels: dict[type[Message], str] = {
        LanesFilled: keys.lanes_filled,
        TasksFinished: keys.tasks_finished,
        CancelRequested: keys.cancel_requested,
    }
    return channels[kind]


class Hints:
    """Gives hints. Every method raises StoreUnavailable while Redis is away; callers need not repeat it."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def lanes_filled(self, names: Sequence[str]) -> None:
        """Tells the dispatchers which lanes got entries; LaneStore.publish does it by itself."""
        if names:
            await self._give(LanesFilled(tuple(names)))

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        """Tells the schedulers which tasks became terminal."""
        if ids:
            await self._give(TasksFinished.of(ids))

    async def cancel_requested(self, ids: Sequence[str]) -> None:
        """Tells the dispatchers which running tasks should be cancelled."""
        if ids:
            await self._give(CancelRequested(tuple(ids)))

    async def _give(self, message: Message) -> None:
        batch = Batch(self._redis)
        batch.add("PUBLISH", channel(self._keys, type(message)), message.encode())
        await batch.send()
