"""Redis in memory: lanes, epoch and hints, with a server that can be stopped, wiped and failed over."""

from simulation.memory.redis.delivery import MemoryDelivery
from simulation.memory.redis.server import RedisServer

__all__ = ["MemoryDelivery", "RedisServer"]
