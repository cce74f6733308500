"""Lanes as Redis streams: publish, take, acknowledge, give back, reclaim."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import orjson
from redis.asyncio import Redis
from redis.typing import EncodableT

from taskyard_core.storage.hints import LanesFilled
from taskyard_core.storage.lanes import Entries, Entry, LaneDepth, Page, Quota, by_lane, tag
from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.entries import unpacked
from taskyard_core.storage.redis.hints import encoded
from taskyard_core.storage.redis.keys import GROUP, Keys
from taskyard_core.storage.redis.script import Script
from taskyard_core.storage.shares import Takes, grouped
from taskyard_core.storage.unavailable import StoreUnavailable

_PUBLISH = Script.load("publish")
_TAKE = Script.load("take")
_ACK = Script.load("ack")
_GIVE_BACK = Script.load("give_back")
_RECLAIM = Script.load("reclaim")
_DEPTH = Script.load("depth")
_SWEEP = Script.load("sweep")

# Entries a script handles in one call: nothing else runs on the server meanwhile, and Lua's stack is finite.
_CHUNK = 1_000

# Lanes that one message names.
_HINT_LANES = 100

AnyItem = TypeVar("AnyItem")


def _chunks(items: Iterable[AnyItem]) -> Iterator[list[AnyItem]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


class LaneStore:
    """See taskyard_core.storage.lanes.LaneStore."""

    def __init__(self, redis: Redis, keys: Keys, *, consumer_idle_ms: int = 3_600_000) -> None:
        self._redis = redis
        self._keys = keys
        self._consumer_idle_ms = consumer_idle_ms
        self._takes = Takes()
        self._refused = False

    async def publish(self, entries: Entries) -> None:
        """Appends (task id, attempt) pairs to the lanes they are listed under, and hints once for all."""
        batch = Batch(self._redis)
        for lane, waiting in entries.items():
            for chunk in _chunks(waiting):
                batch.call(_PUBLISH, [self._keys.lane(lane)], [orjson.dumps([*chain.from_iterable(chunk)])])
        filled = [lane for lane, waiting in entries.items() if waiting]
        if not filled:
            return
        if self._refused:
            # What refused to name the lanes would let the entries in, again with every try to publish them.
            await self._name(Batch(self._redis), filled).send()
        try:
            # Each time, and after the entries: whatever a sweep does meanwhile, the names are there in the end.
            await self._name(batch, filled).send()
        except StoreUnavailable as error:
            self._refused = error.refused
            raise
        self._refused = False

    async def take(self, consumer: str, plan: Sequence[Quota], budget: int) -> list[Entry]:
        """Up to `budget` new entries for a consumer; they are pending then, and no other consumer gets them here.

        Each lane gives up to its quota, which may be 0; what is left of the budget goes to lanes that have more, those
        of one queue in the plan's order. What a failed or cancelled call has taken comes back through `reclaim`.
        """
        if budget <= 0 or not plan:
            return []
        return await self._takes.take(plan, budget, lambda queues, asked: self._take(consumer, queues, asked))

    async def ack(self, entries: Iterable[Entry]) -> None:
        """Forgets entries that were dealt with."""
        batch = Batch(self._redis)
        for lane, dealt in by_lane(entries).items():
            for chunk in _chunks(dealt):
                batch.call(_ACK, [self._keys.lane(lane)], [GROUP, b" ".join([entry.entry_id for entry in chunk])])
        await batch.send()

    async def give_back(self, entries: Iterable[Entry]) -> None:
        """Puts entries that cannot be used here at the end of their lanes, for any consumer, and hints."""
        batch = Batch(self._redis)
        lanes = by_lane(entries)
        for lane, returned in lanes.items():
            for chunk in _chunks(returned):
                fields: list[EncodableT] = [GROUP]
                for entry in chunk:
                    fields += (entry.entry_id, entry.task_id, entry.attempt)
                batch.call(_GIVE_BACK, [self._keys.lane(lane)], fields)
        if lanes:
            self._hint(batch, list(lanes))
            await batch.send()

    async def reclaim(self, consumer: str, lanes: Iterable[str], idle_ms: int, budget: int) -> list[Entry]:
        """Takes over up to `budget` entries that any consumer took at least `idle_ms` ago, and nobody acknowledged.

        They are pending for `consumer` then. Also forgets consumers that hold nothing and have been silent for an hour.
        """
        entries: list[Entry] = []
        for queue in grouped(lanes, tag):
            position, cursor = 1, b"0-0"
            while position and len(entries) < budget:
                arguments = (GROUP, consumer, idle_ms, budget - len(entries), position, cursor, self._consumer_idle_ms)
                (reply,) = await Batch(self._redis).call(_RECLAIM, self._streams(queue), arguments).send()
                position, cursor, *blocks = reply
                entries += unpacked(blocks, queue)
        return entries

    async def check_takes_entries(self) -> None:
        """Raises StoreUnavailable where lanes can be read and entries are refused: full, say, or a replica."""
        # The server decides whether it may before it looks for the key, and with this option it makes none.
        await Batch(self._redis).add("XADD", self._keys.room, "NOMKSTREAM", "*", "task", "").send()

    async def page(self, position: str) -> Page:
        """About a thousand names of lanes that were published to and not swept since, from a position on."""
        scan = Batch(self._redis).add("SSCAN", self._keys.lanes, position or "0", "COUNT", _CHUNK)
        ((cursor, names),) = await scan.send()
        following = int(cursor)
        return Page([name.decode() for name in names], str(following) if following else "")

    async def depths(self, lanes: Collection[str]) -> dict[str, LaneDepth]:
        """How full each lane is; a lane that is not there has depth 0."""
        queues = grouped(lanes, tag)
        batch = Batch(self._redis)
        for queue in queues:
            batch.call(_DEPTH, self._streams(queue), [GROUP])
        figures = chain.from_iterable(await batch.send())
        return {lane: LaneDepth(next(figures), next(figures)) for lane in chain.from_iterable(queues)}

    async def sweep(self, lane: str, idle_ms: int) -> bool:
        """Removes a lane to which nothing came for long; False when it is in use."""
        (removed,) = await Batch(self._redis).call(_SWEEP, [self._keys.lane(lane)], [idle_ms]).send()
        if not removed:
            return False
        # The name is in another slot of a cluster, so it goes on its own. A publisher adds its entries and then the
        # name: if both came before this, the stream is there again and the name is put back.
        deletion = Batch(self._redis).add("SREM", self._keys.lanes, lane).add("EXISTS", self._keys.lane(lane))
        _, back = await deletion.send()
        if back:
            await Batch(self._redis).add("SADD", self._keys.lanes, lane).send()
        return not back

    async def _take(self, consumer: str, queues: Sequence[list[Quota]], shares: Sequence[int]) -> list[list[Entry]]:
        batch = Batch(self._redis)
        for queue, share in zip(queues, shares, strict=True):
            quotas = [quota.count for quota in queue]
            batch.call(_TAKE, self._streams(quota.lane for quota in queue), [GROUP, consumer, share, *quotas])
        replies = await batch.send()
        return [unpacked(reply, [quota.lane for quota in queue]) for queue, reply in zip(queues, replies, strict=True)]

    def _streams(self, lanes: Iterable[str]) -> list[str]:
        return [self._keys.lane(lane) for lane in lanes]

    def _name(self, batch: Batch, lanes: Sequence[str]) -> Batch:
        batch.add("SADD", self._keys.lanes, *lanes)
        self._hint(batch, lanes)
        return batch

    def _hint(self, batch: Batch, lanes: Sequence[str]) -> None:
        # Names may be long, and a listener that is behind is cut off by the bytes that wait for it.
        for start in range(0, len(lanes), _HINT_LANES):
            some = tuple(lanes[start : start + _HINT_LANES])
            batch.add("PUBLISH", self._keys.lanes_filled, encoded(LanesFilled(some)))
