"""Redis as one process reaches it."""

from functools import cached_property

from redis.asyncio import Redis

from taskyard_core.storage.hints import Message
from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.epoch import LaneEpoch
from taskyard_core.storage.redis.hint_stream import HintStream
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.storage.redis.script import Script

_PROBE = Script.load("probe")


class RedisDelivery:
    """See taskyard_core.storage.delivery.Delivery. The client is closed by whoever made it."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._streams: list[HintStream] = []

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
        """Raise StoreUnavailable unless the server answers, is recent enough, and lets us do all that we do."""
        await self.epoch.current()
        await self.lanes.check_takes_entries()
        batch = Batch(self._redis)
        batch.add("SISMEMBER", self._keys.lanes, "")
        batch.add("SREM", self._keys.lanes, "")
        batch.add("SSCAN", self._keys.lanes, "0", "COUNT", 1)
        batch.add("PUBLISH", self._keys.nobody, "")
        batch.add("SCRIPT", "LOAD", _PROBE.source)
        batch.call(_PROBE, [self._keys.room, self._keys.cluster], ())
        await batch.send()
        for stream in self._streams:
            if stream.refusal is not None:
                raise stream.refusal

    def listen(self, *kinds: type[Message]) -> HintStream:
        """What others tell, of these kinds."""
        stream = HintStream(self._redis, self._keys, *kinds)
        self._streams.append(stream)
        return stream
