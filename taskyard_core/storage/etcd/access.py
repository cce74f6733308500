"""What this package asks of an etcd cluster: real over gRPC, or in memory in a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as etcd stores it; `lease` is 0 if it isn't attached to one."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything under a prefix as of `revision`, in key order."""

    revision: int
    items: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class PutOutcome:
    """Result of a conditional put: `existing` is what stood in the way, if it wasn't `done`."""

    done: bool
    revision: int
    existing: KeyValue | None


class Event(NamedTuple):
    """A change as a watch tells it; of a key that was deleted, `item` has the name and the revision only."""

    item: KeyValue
    deleted: bool = False


class Granted(NamedTuple):
    """A lease, and for how many seconds it lives."""

    lease_id: int
    ttl: float


class Size(NamedTuple):
    """Bytes of a member's database file, and beyond how many it takes no more writes."""

    used: int
    quota: int


class KeySpace(Protocol):
    """Reading and writing keys. Every method raises EtcdUnavailable or EtcdRejected."""

    async def get(self, key: str) -> KeyValue | None:
        """Return the key's current value (linearizable), or None if it doesn't exist."""

    async def get_prefix(self, prefix: str, *, page_size: int = 1000) -> Listing:
        """Return all keys under `prefix` as they were at one revision."""

    async def put(self, key: str, value: bytes, *, lease: int = 0, repeatable: bool = False) -> int:
        """Write and return the revision.

        Say `repeatable` only for a key that nobody else writes: a repeat may overwrite what came
        in between. Raises LeaseNotFound if the lease is gone.
        """

    async def put_if(self, key: str, value: bytes, *, mod_revision: int, lease: int = 0) -> PutOutcome:
        """Write if the key's mod revision is still this; 0 means the key must not exist.

        Not repeated when its outcome is unknown: read the key to learn what happened.
        """

    async def delete(self, key: str) -> bool:
        """Delete the key and return whether it existed (unknown after an internal repeat)."""


class ChangeStream(Protocol):
    """The changes under a prefix from one revision on, as one member tells them."""

    @property
    def place(self) -> str:
        """The member at the other end."""

    async def read(self, *, timeout: float) -> tuple[Event, ...] | None:
        """Return what comes next, in order, or None after `timeout` seconds of silence.

        No events at all are a sign of life. Cancelling loses nothing. Raises EtcdCompacted when
        the revision asked for is gone, EtcdWentBack when etcd has not come that far (it was replaced,
        or restored from a backup), and other EtcdErrors when the stream has ended.
        """

    async def ask_progress(self) -> None:
        """Have the member give a sign of life. Raises EtcdError."""

    async def close(self) -> None:
        """Leave nothing running."""


class KeepAlive(Protocol):
    """Renewals of leases by one member."""

    @property
    def place(self) -> str:
        """The member at the other end."""

    async def ask(self, lease_id: int, *, timeout: float) -> None:
        """Ask for a renewal without waiting for the answer. Raises EtcdError."""

    async def read(self) -> Granted:
        """Return the next answer; its TTL is 0 or less if the lease is gone. Raises EtcdError at the end."""

    async def close(self) -> None:
        """Leave nothing running."""


class Access(Protocol):
    """A cluster as one process reaches it. Every method raises EtcdError."""

    @property
    def kv(self) -> KeySpace:
        """The keys."""

    @property
    def patience(self) -> float:
        """How many seconds an answer is waited for."""

    async def check_version(self) -> None:
        """Raise EtcdRejected if the member that is asked is older than will do."""

    async def grant(self, ttl: int) -> Granted:
        """Make a lease of `ttl` seconds."""

    async def revoke(self, lease_id: int, *, timeout: float | None = None) -> None:
        """Delete a lease with its keys; raises LeaseNotFound. `timeout` is in seconds for each attempt."""

    async def keep_alive(self) -> KeepAlive:
        """Open a stream of renewals."""

    async def watch(self, prefix: str, *, start: int) -> ChangeStream:
        """Open a stream of the changes under `prefix` from revision `start` on."""

    async def size(self) -> Size:
        """How large the database of the member is that calls go to."""

    def suspect(self, place: str) -> None:
        """Go to another member if calls still go to the one at `place`."""

    async def close(self) -> None:
        """End every connection."""
