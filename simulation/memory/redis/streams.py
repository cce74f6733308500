"""Lanes as Redis keeps them: streams with one group of consumers."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from taskyard_core.storage.lanes import Entry, LaneDepth, Page, Quota


class Item(NamedTuple):
    """An entry of a stream, and when it was added."""

    task_id: str
    attempt: int
    added: float


class Holding(NamedTuple):
    """Who took an entry, and when."""

    consumer: str
    since: float


class Stream:
    """One lane. Ids rise, so the order of each dict is that of the ids."""

    __slots__ = ("entries", "fresh", "pending")

    def __init__(self) -> None:
        self.entries: dict[int, Item] = {}
        self.fresh = deque[int]()
        """Ids that no consumer has read, some of them deleted since."""
        self.pending: dict[int, Holding] = {}

    def add(self, id: int, item: Item) -> None:
        """XADD."""
        self.entries[id] = item
        self.fresh.append(id)

    def read(self, consumer: str, count: int, now: float) -> Iterator[tuple[int, Item]]:
        """XREADGROUP."""
        while self.fresh and count > 0:
            id = self.fresh.popleft()
            item = self.entries.get(id)
            if item is not None:
                self.pending[id] = Holding(consumer, now)
                count -= 1
                yield id, item

    def forget(self, id: int) -> bool:
        """XACK and XDEL; False if the entry was not pending."""
        self.entries.pop(id, None)
        return self.pending.pop(id, None) is not None


class Streams:
    """All that the server holds. What changes it depends on nothing else, so that it can be done once more."""

    def __init__(self) -> None:
        self.lanes: dict[str, Stream] = {}
        self.names: dict[str, None] = {}
        self.epoch: tuple[int, str] | None = None

    def clear(self) -> None:
        """FLUSHALL."""
        self.lanes.clear()
        self.names.clear()
        self.epoch = None

    def publish(self, lane: str, tasks: Iterable[tuple[str, int]], first_id: int, now: float) -> None:
        """Append entries, with ids from `first_id` on."""
        stream = self.lanes.setdefault(lane, Stream())
        for id, (task_id, attempt) in enumerate(tasks, first_id):
            stream.add(id, Item(task_id, attempt, now))

    def take(self, consumer: str, plan: Sequence[Quota], budget: int, now: float) -> list[Entry]:
        """See take.lua."""
        taken: list[Entry] = []
        more: list[str] = []
        for quota in plan:
            count = min(quota.count, budget - len(taken))
            if self._read(quota.lane, consumer, count, now, taken):
                more.append(quota.lane)
        for lane in more:
            self._read(lane, consumer, budget - len(taken), now, taken)
        return taken

    def forget(self, lane: str, ids: Iterable[int]) -> None:
        """See ack.lua."""
        stream = self.lanes.get(lane)
        if stream is not None:
            for id in ids:
                stream.forget(id)

    def give_back(self, lane: str, entries: Sequence[Entry], first_id: int, now: float) -> None:
        """See give_back.lua."""
        stream = self.lanes.get(lane)
        if stream is not None:
            for new_id, entry in enumerate(entries, first_id):
                if (id := int(entry.entry_id)) in stream.pending:
                    stream.forget(id)
                    stream.add(new_id, Item(entry.task_id, entry.attempt, now))

    def reclaim(self, consumer: str, lanes: Sequence[str], idle: float, budget: int, now: float) -> list[Entry]:
        """See reclaim.lua."""
        found: list[Entry] = []
        for lane in lanes:
            stream = self.lanes.get(lane)
            for id, holding in list(stream.pending.items()) if stream is not None else ():
                if len(found) >= budget:
                    return found
                if stream is not None and now - holding.since >= idle:
                    stream.pending[id] = Holding(consumer, now)
                    found.append(_entry(lane, id, stream.entries[id]))
        return found

    def depth(self, lane: str) -> LaneDepth:
        """See depth.lua."""
        stream = self.lanes.get(lane)
        return LaneDepth(len(stream.entries), len(stream.pending)) if stream is not None else LaneDepth(0, 0)

    def sweep(self, lane: str, before: float) -> bool:
        """See sweep.lua."""
        stream = self.lanes.get(lane)
        if stream is not None and any(item.added > before for item in stream.entries.values()):
            return False
        self.lanes.pop(lane, None)
        return True

    def register(self, lanes: Iterable[str]) -> None:
        """SADD of the lanes' names."""
        self.names.update(dict.fromkeys(lanes))

    def page(self, position: str, limit: int) -> Page:
        """SSCAN of the lanes' names."""
        following = sorted(name for name in self.names if name > position)
        return Page(following[:limit], following[limit - 1] if len(following) > limit else "")

    def unregister(self, lane: str) -> bool:
        """SREM of a lane's name, and EXISTS of its stream."""
        self.names.pop(lane, None)
        return lane in self.lanes

    def begin_epoch(self, term: int, epoch: str, regardless: bool) -> bool:
        """See begin_epoch.lua."""
        if self.epoch is not None and self.epoch[0] > term and not regardless:
            return False
        self.epoch = term, epoch
        return True

    def _read(self, lane: str, consumer: str, count: int, now: float, taken: list[Entry]) -> bool:
        """Whether the lane may have more."""
        stream = self.lanes.get(lane)
        if stream is None or not stream.entries:
            return False
        before = len(taken)
        taken += (_entry(lane, id, item) for id, item in stream.read(consumer, count, now))
        return len(taken) - before >= count


def _entry(lane: str, id: int, item: Item) -> Entry:
    return Entry(lane, b"%d" % id, item.task_id, item.attempt)
