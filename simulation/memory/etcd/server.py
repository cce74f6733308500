"""The cluster that all clients share: keys, leases and who watches."""

import asyncio
import contextvars
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from simulation.memory.pipe import Pipe
from taskyard_core.storage.etcd.access import Event, Granted, KeyValue, Listing, PutOutcome, Size
from taskyard_core.storage.etcd.errors import EtcdCompacted, EtcdRejected, EtcdUnavailable, EtcdWentBack, LeaseNotFound

Told = tuple[Event, ...]
"""What one message of a watch tells; nothing in it is a sign of life."""

_FIRST_LEASE = 0x1000


@dataclass(slots=True)
class _Lease:
    ttl: float
    expires_at: float
    keys: dict[str, None] = field(default_factory=dict)


class Backup(NamedTuple):
    """What a snapshot keeps: the keys, and each lease's TTL with its keys."""

    revision: int
    items: dict[str, KeyValue]
    leases: dict[int, tuple[float, tuple[str, ...]]]


_EMPTY = Backup(1, {}, {})


class _Watch(NamedTuple):
    client: object
    prefix: str
    pipe: Pipe[Told]


class EtcdServer:
    """A cluster as if it had one member. Make it inside a running event loop, whose timers end leases.

    `clock` gives seconds, at the pace of the loop's. `lag` draws how many seconds after its TTL a lease is ended.
    """

    def __init__(self, clock: Callable[[], float], *, lag: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.revision = 1
        self._lag = lag
        self._items: dict[str, KeyValue] = {}
        self._history: list[Told] = []
        """What each revision after the compacted one changed."""
        self._compacted = 1
        self._leases: dict[int, _Lease] = {}
        self._next_lease = _FIRST_LEASE
        self._watches: list[_Watch] = []
        self._timer: asyncio.TimerHandle | None = None
        # Timers are the server's own, whichever client made the lease.
        self._context = contextvars.copy_context()
        self._up = True
        self.full = False
        """Nothing more is written, only deleted; leases live on."""

    def get(self, key: str) -> KeyValue | None:
        """Read one key."""
        self._require_up()
        return self._items.get(key)

    def size(self) -> Size:
        """Bytes of all values, without a bound."""
        self._require_up()
        return Size(sum(len(item.value) for item in self._items.values()), sys.maxsize)

    def listing(self, prefix: str) -> Listing:
        """Read all keys under a prefix."""
        self._require_up()
        found = sorted(key for key in self._items if key.startswith(prefix))
        return Listing(self.revision, tuple(self._items[key] for key in found))

    def put(self, key: str, value: bytes, lease: int) -> int:
        """Write; raises LeaseNotFound."""
        self._require_room()
        self._attach(key, lease)
        self.revision += 1
        old = self._items.get(key)
        created = self.revision if old is None else old.create_revision
        item = self._items[key] = KeyValue(key, value, created, self.revision, lease)
        self._tell((Event(item),))
        return self.revision

    def put_if(self, key: str, value: bytes, mod_revision: int, lease: int) -> PutOutcome:
        """Write if the key's mod revision is this; raises LeaseNotFound."""
        existing = self.get(key)
        if (existing.mod_revision if existing is not None else 0) != mod_revision:
            return PutOutcome(False, self.revision, existing)
        return PutOutcome(True, self.put(key, value, lease), None)

    def delete(self, key: str) -> bool:
        """Delete one key."""
        self._require_up()
        return self._delete([key])

    def grant(self, ttl: int) -> Granted:
        """Make a lease."""
        self._require_room()
        lease_id, self._next_lease = self._next_lease, self._next_lease + 1
        self._leases[lease_id] = self._fresh(_Lease(float(ttl), 0.0))
        self._wind()
        return Granted(lease_id, float(ttl))

    def revoke(self, lease_id: int) -> None:
        """End a lease, and with it its keys; raises LeaseNotFound. Also for whoever wants a lease to be lost."""
        self._require_up()
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            raise LeaseNotFound(f"lease {lease_id:x}")
        self._delete(lease.keys)

    def keep_alive(self, lease_id: int) -> Granted:
        """Let a lease begin anew; a TTL of 0 says that it is gone."""
        self._require_up()
        lease = self._leases.get(lease_id)
        return Granted(lease_id, 0.0 if lease is None else self._fresh(lease).ttl)

    @property
    def leases(self) -> tuple[int, ...]:
        """The leases that are there, oldest first."""
        return tuple(self._leases)

    def watch(self, client: object, prefix: str, start: int, pipe: Pipe[Told]) -> None:
        """Tell the changes under a prefix from revision `start` on."""
        self._require_up()
        if start <= self._compacted:
            pipe.hang_up(EtcdCompacted(f"compacted up to {self._compacted}"))
            return
        if start > self.revision + 1:
            pipe.hang_up(EtcdWentBack(f"at revision {self.revision}, before {start - 1}"))
            return
        watch = _Watch(client, prefix, pipe)
        for told in self._history[start - self._compacted - 1 :]:
            _send(watch, told)
        self._watches.append(watch)

    def progress(self, pipe: Pipe[Told]) -> None:
        """Give a sign of life on a watch."""
        self._require_up()
        pipe.check()
        pipe.send(())

    def hang_up(self, pipe: Pipe[Told]) -> None:
        """A client has closed one watch."""
        self._watches = [watch for watch in self._watches if watch.pipe is not pipe]

    def leave(self, client: object) -> None:
        """A client has closed all its watches."""
        self._watches = [watch for watch in self._watches if watch.client is not client]

    def compact(self, revision: int | None = None) -> None:
        """Throw the history before a revision away, by default all of it."""
        upto = self.revision if revision is None else revision
        del self._history[: max(0, upto - self._compacted)]
        self._compacted = max(self._compacted, upto)

    def stop(self) -> None:
        """No member leads any more: nothing is answered, and every watch breaks."""
        self._up = False
        self._wind()
        watches, self._watches = self._watches, []
        for watch in watches:
            watch.pipe.hang_up(EtcdUnavailable("no leader"))

    def start(self) -> None:
        """There is a leader again. It gives every lease its whole TTL anew, as it cannot know how old they are."""
        self._up = True
        for lease in self._leases.values():
            self._fresh(lease)
        self._wind()

    def backup(self) -> Backup:
        """Take a snapshot."""
        leases = {lease_id: (lease.ttl, tuple(lease.keys)) for lease_id, lease in self._leases.items()}
        return Backup(self.revision, dict(self._items), leases)

    def replace(self, backup: Backup = _EMPTY) -> None:
        """Put another cluster in its place: a new one, or one restored from a snapshot. Revisions go back."""
        up = self._up
        self.stop()
        self.revision = self._compacted = backup.revision
        self._items = dict(backup.items)
        self._history = []
        # Real leases are numbered at random: an id never stands for two.
        self._leases = {id: _Lease(ttl, 0.0, dict.fromkeys(keys)) for id, (ttl, keys) in backup.leases.items()}
        if up:
            self.start()

    def restart(self) -> None:
        """Another member leads."""
        self.stop()
        self.start()

    def _attach(self, key: str, lease: int) -> None:
        if lease and lease not in self._leases:
            raise LeaseNotFound(f"lease {lease:x}")
        old = self._items.get(key)
        if old is not None and old.lease:
            self._leases[old.lease].keys.pop(key)
        if lease:
            self._leases[lease].keys[key] = None

    def _delete(self, keys: Iterable[str]) -> bool:
        gone = [self._items.pop(key) for key in sorted(keys) if key in self._items]
        for item in gone:
            if item.lease in self._leases:
                self._leases[item.lease].keys.pop(item.key)
        if gone:
            self.revision += 1
            self._tell(tuple(Event(KeyValue(item.key, b"", 0, self.revision), deleted=True) for item in gone))
        return bool(gone)

    def _tell(self, told: Told) -> None:
        self._history.append(told)
        for watch in self._watches:
            _send(watch, told)

    def _fresh(self, lease: _Lease) -> _Lease:
        lease.expires_at = self.clock() + lease.ttl + self._lag()
        return lease

    def _wind(self) -> None:
        """Have a timer for the lease that ends first; one that ended later meanwhile finds nothing to do."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leases and self._up:
            first = min(lease.expires_at for lease in self._leases.values())
            delay = max(0.0, first - self.clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire, context=self._context)

    def _expire(self) -> None:
        self._timer = None
        now = self.clock()
        for lease_id in [lease_id for lease_id, lease in self._leases.items() if lease.expires_at <= now]:
            self.revoke(lease_id)
        self._wind()

    def _require_room(self) -> None:
        self._require_up()
        if self.full:
            raise EtcdRejected("mvcc: database space exceeded")

    def _require_up(self) -> None:
        if not self._up:
            raise EtcdUnavailable("no leader")


def _send(watch: _Watch, told: Told) -> None:
    events = tuple(event for event in told if event.item.key.startswith(watch.prefix))
    if events:
        watch.pipe.send(events)
