"""Redis or Valkey: lanes, hints and their epoch. Nothing here is the truth; all of it can be built again."""

from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.delivery import RedisDelivery
from taskyard_core.storage.redis.epoch import LaneEpoch
from taskyard_core.storage.redis.hint_stream import HintStream
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.redis.identity import RedisIdentity
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.lanes import LaneStore

__all__ = [
    "HintStream",
    "Hints",
    "Keys",
    "LaneEpoch",
    "LaneStore",
    "RedisDelivery",
    "RedisIdentity",
    "connect",
]
