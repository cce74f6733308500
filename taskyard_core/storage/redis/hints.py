"""Hints over pub/sub."""

from collections.abc import Sequence

import orjson
from redis.asyncio import Redis

from taskyard_core.storage.hints import CancelRequested, LanesFilled, Message, TasksFinished
from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.keys import Keys


def channel(keys: Keys, kind: type[Message]) -> str:
    """The channel that carries messages of a kind."""
    channels: dict[type[Message], str] = {
        LanesFilled: keys.lanes_filled,
        TasksFinished: keys.tasks_finished,
        CancelRequested: keys.cancel_requested,
    }
    return channels[kind]


def encoded(message: Message) -> bytes:
    """The message's bytes: ids with a space between, or names in JSON, since selectors hold all kinds of characters."""
    match message:
        case LanesFilled(names):
            return orjson.dumps(names)
        case TasksFinished(raw):
            return raw
        case CancelRequested(ids):
            return " ".join(ids).encode()


def decoded(kind: type[Message], data: bytes) -> Message:
    """The message of its bytes."""
    if kind is LanesFilled:
        return LanesFilled(tuple(orjson.loads(data)))
    return TasksFinished(data) if kind is TasksFinished else CancelRequested(tuple(data.decode().split()))


class Hints:
    """See taskyard_core.storage.hints.Hints."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        """Tells the schedulers which tasks became terminal."""
        if ids:
            await self._give(TasksFinished.of(ids))

    async def cancel_requested(self, ids: Sequence[str]) -> None:
        """Tells the dispatchers which running tasks should be cancelled."""
        if ids:
            await self._give(CancelRequested(tuple(ids)))

    async def _give(self, message: Message) -> None:
        await Batch(self._redis).add("PUBLISH", channel(self._keys, type(message)), encoded(message)).send()
