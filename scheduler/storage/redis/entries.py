"""What goes through lanes: entries, how many of them may be taken, and how many wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One delivery of a task through a lane; `entry_id` is the stream's and only good for handing back."""

    lane: str
    entry_id: bytes
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Quota:
    """How many entries of a lane are wanted before what is left goes to whichever lane has more."""

    lane: str
    count: int


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """Entries in a lane, those of them that were taken but not acknowledged, and the age of the oldest in ms."""

    length: int
    pending: int
    oldest_age_ms: int


def unpacked(reply: Sequence[Any], lanes: Sequence[str]) -> list[Entry]:
    """The entries of a script's flat reply.

    It holds blocks: the lane's position in `lanes` from 1, the number of entries, then id, task and attempt of each.
    """
    entries: list[Entry] = []
    start = 0
    while start < len(reply):
        lane, first, end = lanes[reply[start] - 1], start + 2, start + 2 + 3 * reply[start + 1]
        task_ids = map(bytes.decode, reply[first + 1 : end : 3])
        entries += map(Entry, repeat(lane), reply[first:end:3], task_ids, reply[first + 2 : end : 3])
        start = end
    return entries


def by_lane(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries of each lane, in order."""
    lanes: dict[str, list[Entry]] = {}
    for entry in entries:
        lanes.setdefault(entry.lane, []).append(entry)
    return lanes
