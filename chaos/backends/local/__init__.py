"""A cluster of processes on this machine, every link of which leads through a proxy."""

from chaos.backends.local.cluster import LocalCluster
from chaos.backends.local.options import Hand, Options

__all__ = ["Hand", "LocalCluster", "Options"]
