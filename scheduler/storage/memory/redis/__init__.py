"""Redis in memory: lanes, epoch and hints, with a server that can be stopped, wiped and failed over."""

from scheduler.storage.memory.redis.delivery import MemoryDelivery
from scheduler.storage.memory.redis.server import RedisServer

__all__ = ["MemoryDelivery", "RedisServer"]
