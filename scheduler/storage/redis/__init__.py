"""Redis or Valkey: lanes, hints and their epoch. Nothing here is the truth; all of it can be built again."""

from scheduler.storage.redis.connection import connect
from scheduler.storage.redis.entries import Entry, LaneDepth, Quota
from scheduler.storage.redis.epoch import LaneEpoch, StaleTerm
from scheduler.storage.redis.hint_stream import HintStream
from scheduler.storage.redis.hints import (
    CancelRequested,
    Hint,
    Hints,
    LanesFilled,
    Reconnected,
    TasksFinished,
)
from scheduler.storage.redis.keys import Keys
from scheduler.storage.redis.lanes import LaneStore

__all__ = [
    "CancelRequested",
    "Entry",
    "Hint",
    "HintStream",
    "Hints",
    "Keys",
    "LaneDepth",
    "LaneEpoch",
    "LaneStore",
    "LanesFilled",
    "Quota",
    "Reconnected",
    "StaleTerm",
    "TasksFinished",
    "connect",
]
