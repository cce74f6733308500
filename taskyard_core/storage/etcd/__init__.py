"""etcd: who is alive and who leads. Nothing outside this package knows the client library."""

from taskyard_core.storage.backoff import Backoff
from taskyard_core.storage.etcd.access import KeyValue
from taskyard_core.storage.etcd.change import Change, Delete, Put
from taskyard_core.storage.etcd.client import Etcd
from taskyard_core.storage.etcd.errors import (
    EtcdError,
    EtcdRejected,
    EtcdUnavailable,
    LeaseNotFound,
)
from taskyard_core.storage.etcd.keys import EtcdKeys
from taskyard_core.storage.etcd.lease import Lease
from taskyard_core.storage.etcd.settings import EtcdSettings
from taskyard_core.storage.etcd.watch import PrefixWatch, WatchTiming

__all__ = [
    "Backoff",
    "Change",
    "Delete",
    "Etcd",
    "EtcdError",
    "EtcdKeys",
    "EtcdRejected",
    "EtcdSettings",
    "EtcdUnavailable",
    "KeyValue",
    "Lease",
    "LeaseNotFound",
    "PrefixWatch",
    "Put",
    "WatchTiming",
]
