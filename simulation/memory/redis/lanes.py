"""Lanes in memory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from simulation.memory.redis.client import RedisClient
from simulation.memory.redis.streams import Streams
from taskyard_core.storage.hints import LanesFilled
from taskyard_core.storage.lanes import Entries, Entry, LaneDepth, Page, Quota, by_lane, tag
from taskyard_core.storage.shares import Takes, grouped

_PAGE = 1000


class MemoryLanes:
    """See taskyard_core.storage.lanes.LaneStore. What Redis does in one round trip is one operation here."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._server = client.server
        self._takes = Takes()

    async def publish(self, entries: Entries) -> None:
        """Appends (task id, attempt) pairs to the lanes they are listed under, and hints once for all."""
        waiting = {lane: tuple(tasks) for lane, tasks in entries.items() if tasks}
        for lane in waiting:
            tag(lane)
        if waiting:
            await self._client.call(lambda: self._publish(waiting))

    async def take(self, consumer: str, plan: Sequence[Quota], budget: int) -> list[Entry]:
        """Up to `budget` new entries for a consumer; they are pending then."""

        async def read(queues: Sequence[list[Quota]], shares: Sequence[int]) -> list[list[Entry]]:
            return await self._client.call(lambda: self._take(consumer, queues, shares))

        return await self._takes.take(plan, budget, read)

    async def ack(self, entries: Iterable[Entry]) -> None:
        """Forgets entries that were dealt with."""
        dealt = {lane: [int(entry.entry_id) for entry in some] for lane, some in by_lane(entries).items()}

        def forget(streams: Streams) -> None:
            for lane, ids in dealt.items():
                streams.forget(lane, ids)

        await self._client.call(lambda: self._server.write(forget))

    async def give_back(self, entries: Iterable[Entry]) -> None:
        """Puts entries that cannot be used here at the end of their lanes, for any consumer, and hints."""
        returned = by_lane(entries)
        if returned:
            await self._client.call(lambda: self._give_back(returned))

    async def reclaim(self, consumer: str, lanes: Iterable[str], idle_ms: int, budget: int) -> list[Entry]:
        """Takes over up to `budget` entries that any consumer took long ago, and nobody acknowledged."""
        entries: list[Entry] = []
        for queue in grouped(lanes, tag):
            left = budget - len(entries)
            if left > 0:
                entries += await self._client.call(partial(self._reclaim, consumer, queue, idle_ms / 1000, left))
        return entries

    async def check_takes_entries(self) -> None:
        """Raises StoreUnavailable where lanes can be read and entries are refused."""
        await self._client.call(lambda: None)

    async def page(self, position: str) -> Page:
        """About a thousand names of lanes that were published to and not swept since, from a position on."""
        return await self._client.call(lambda: self._server.streams.page(position, _PAGE))

    async def depths(self, lanes: Collection[str]) -> dict[str, LaneDepth]:
        """How full each lane is; a lane that is not there has depth 0."""
        return await self._client.call(lambda: {lane: self._server.streams.depth(lane) for lane in lanes})

    async def sweep(self, lane: str, idle_ms: int) -> bool:
        """Removes a lane to which nothing came for long; False when it is in use."""
        # As in Redis, these are separate steps: others may publish between them.
        before = self._server.clock() - idle_ms / 1000
        if not await self._client.call(lambda: self._server.write(lambda streams: streams.sweep(lane, before))):
            return False
        if not await self._client.call(lambda: self._server.write(lambda streams: streams.unregister(lane))):
            return True
        await self._client.call(lambda: self._server.write(lambda streams: streams.register([lane])))
        return False

    def _publish(self, entries: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        now, first_id = self._server.clock(), self._server.ids(sum(map(len, entries.values())))

        def publish(streams: Streams) -> None:
            next_id = first_id
            for lane, tasks in entries.items():
                streams.publish(lane, tasks, next_id, now)
                next_id += len(tasks)
            streams.register(entries)

        self._server.write(publish)
        self._server.hint(LanesFilled(tuple(entries)))

    def _take(self, consumer: str, queues: Sequence[list[Quota]], shares: Sequence[int]) -> list[list[Entry]]:
        now = self._server.clock()

        def take(streams: Streams) -> list[list[Entry]]:
            asked = zip(queues, shares, strict=True)
            return [streams.take(consumer, queue, share, now) for queue, share in asked]

        return self._server.write(take)

    def _give_back(self, returned: Mapping[str, Sequence[Entry]]) -> None:
        now, first_id = self._server.clock(), self._server.ids(sum(map(len, returned.values())))

        def give_back(streams: Streams) -> None:
            next_id = first_id
            for lane, entries in returned.items():
                streams.give_back(lane, entries, next_id, now)
                next_id += len(entries)

        self._server.write(give_back)
        self._server.hint(LanesFilled(tuple(returned)))

    def _reclaim(self, consumer: str, lanes: Sequence[str], idle: float, budget: int) -> list[Entry]:
        now = self._server.clock()
        return self._server.write(lambda streams: streams.reclaim(consumer, lanes, idle, budget, now))
