"""etcd in memory: keys with revisions, leases that expire, watches; and a server that can be stopped."""

from simulation.memory.etcd.access import MemoryAccess
from simulation.memory.etcd.server import EtcdServer

__all__ = ["EtcdServer", "MemoryAccess"]
