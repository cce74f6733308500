"""Hints as they come from Redis."""

from redis.asyncio import Redis

from taskyard_core.storage import hint_stream
from taskyard_core.storage.hints import Message
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.subscription import Subscription


class HintStream(hint_stream.HintStream):
    """Messages of some kinds: `async with HintStream(redis, keys, LanesFilled) as stream`.

    `quiet` is after how many seconds of silence the connection is checked.
    """

    def __init__(self, redis: Redis, keys: Keys, *kinds: type[Message], quiet: float = 5.0) -> None:
        super().__init__(lambda: Subscription.open(redis, keys, kinds, quiet))
