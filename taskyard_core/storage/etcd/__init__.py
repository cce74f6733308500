"""etcd: who is alive and who leads. Nothing outside this package knows the client library."""

from taskyard_core.storage.backoff import Backoff
from taskyard_core.storage.etcd.access import Access, KeySpace, KeyValue, Listing, PutOutcome, Size
from taskyard_core.storage.etcd.change import Change, Changes, Delete, Put
from taskyard_core.storage.etcd.client import Etcd
from taskyard_core.storage.etcd.errors import (
    EtcdError,
    EtcdRejected,
    EtcdUnavailable,
    LeaseNotFound,
)
from taskyard_core.storage.etcd.keys import EtcdKeys
from taskyard_core.storage.etcd.lease import Lease
from taskyard_core.storage.etcd.renewal import LeaseRenewal
from taskyard_core.storage.etcd.settings import EtcdSettings
from taskyard_core.storage.etcd.watch import PrefixWatch, WatchTiming

__all__ = [
    "Access",
    "Backoff",
    "Change",
    "Changes",
    "Delete",
    "Etcd",
    "EtcdError",
    "EtcdKeys",
    "EtcdRejected",
    "EtcdSettings",
    "EtcdUnavailable",
    "KeySpace",
    "KeyValue",
    "Lease",
    "LeaseNotFound",
    "LeaseRenewal",
    "Listing",
    "PrefixWatch",
    "Put",
    "PutOutcome",
    "Size",
    "WatchTiming",
]
