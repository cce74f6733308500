"""Entries as scripts send them."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from taskyard_core.storage.lanes import Entry


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
