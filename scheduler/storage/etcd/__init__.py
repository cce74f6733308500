"""etcd: who is alive and who leads. Nothing outside this package knows the client library."""

from scheduler.storage.backoff import Backoff
from scheduler.storage.etcd.access import Access, KeySpace, KeyValue, Listing, PutOutcome, Size
from scheduler.storage.etcd.change import Change, Changes, Delete, Put
from scheduler.storage.etcd.client import Etcd
from scheduler.storage.etcd.errors import (
    EtcdError,
    EtcdRejected,
    EtcdUnavailable,
    LeaseNotFound,
)
from scheduler.storage.etcd.keys import EtcdKeys
from scheduler.storage.etcd.lease import Lease
from scheduler.storage.etcd.renewal import LeaseRenewal
from scheduler.storage.etcd.settings import EtcdSettings
from scheduler.storage.etcd.watch import PrefixWatch, WatchTiming

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
