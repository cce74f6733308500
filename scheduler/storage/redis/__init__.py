"""Redis or Valkey: lanes, hints and their epoch. Nothing here is the truth; all of it can be built again."""

from scheduler.storage.hints import (
    CancelRequested,
    Hint,
    LanesFilled,
    Reconnected,
    TasksFinished,
)
from scheduler.storage.lanes import Entry, LaneDepth, Quota
from scheduler.storage.redis.connection import connect
from scheduler.storage.redis.delivery import RedisDelivery
from scheduler.storage.redis.epoch import LaneEpoch
from scheduler.storage.redis.hint_stream import HintStream
from scheduler.storage.redis.hints import Hints
from scheduler.storage.redis.identity import RedisIdentity
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
    "RedisDelivery",
    "RedisIdentity",
    "TasksFinished",
    "connect",
]
