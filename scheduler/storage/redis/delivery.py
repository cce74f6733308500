"""Redis as one process reaches it."""

from functools import cached_property

from redis.asyncio import Redis

from scheduler.storage.hints import Message
from scheduler.storage.redis.batch import Batch
from scheduler.storage.redis.epoch import LaneEpoch
from scheduler.storage.redis.hint_stream import HintStream
from scheduler.storage.redis.hints import Hints
from scheduler.storage.redis.keys import Keys
from scheduler.storage.redis.lanes import LaneStore


class RedisDelivery:
    """See scheduler.storage.delivery.Delivery. The client is closed by whoever made it."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    @cached_property
    def lanes(self) -> LaneStore:
        """The lanes."""
        return LaneStore(self._redis, self._keys)

    @cached_property
    def epoch(self) -> LaneEpoch:
        """Whether the lanes still have what was published."""
        return LaneEpoch(self._redis, self._keys)

    @cached_property
    def hints(self) -> Hints:
        """Tells others."""
        return Hints(self._redis, self._keys)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the server answers, is recent enough, and its keys are ours."""
        await self.epoch.current()
        await self.lanes.check_takes_entries()
        batch = Batch(self._redis)
        batch.add("SISMEMBER", self._keys.lanes, "")
        await batch.send()

    def listen(self, *kinds: type[Message]) -> HintStream:
        """What others tell, of these kinds."""
        return HintStream(self._redis, self._keys, *kinds)
