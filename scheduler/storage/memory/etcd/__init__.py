"""etcd in memory: keys with revisions, leases that expire, watches; and a server that can be stopped."""

from scheduler.storage.memory.etcd.access import MemoryAccess
from scheduler.storage.memory.etcd.server import EtcdServer

__all__ = ["EtcdServer", "MemoryAccess"]
