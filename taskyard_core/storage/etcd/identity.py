"""Access to etcd once it was seen to be this cluster's, and again after it may have been replaced."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from taskyard_core.runtime.errand import Errand
from taskyard_core.storage.etcd.access import (
    Access,
    ChangeStream,
    Granted,
    KeepAlive,
    KeySpace,
    KeyValue,
    Listing,
    PutOutcome,
    Size,
)
from taskyard_core.storage.etcd.errors import EtcdRejected, EtcdUnavailable
from taskyard_core.storage.etcd.keys import EtcdKeys
from taskyard_core.storage.identity import Identity
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class IdentifiedAccess:
    """See Access and KeySpace. Whatever is asked of another cluster's etcd raises EtcdUnavailable, without being asked.

    An etcd that is replaced breaks every stream: so each new one is preceded by a look, and what follows an outage.
    """

    def __init__(self, access: Access, keys: EtcdKeys, identity: Identity) -> None:
        self.kv: KeySpace = self
        self.inner = access
        self._key = keys.cluster
        prefix = f"give each an --etcd-prefix of its own, here it is {keys.prefix!r}"
        self._remedy = f"{prefix}, or delete the key {keys.cluster} if the other is gone"
        self._identity = identity
        self._known = False
        self._told = False
        self._looking = Errand(self._look, "whose-etcd")

    @property
    def patience(self) -> float:
        """How many seconds an answer is waited for."""
        return self.inner.patience

    async def check(self) -> None:
        """Look whose etcd it is; raises EtcdError."""
        self._known = False
        await self._admit()

    async def ask(self, operation: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do it, if it is this cluster's etcd; raises EtcdError."""
        await self._admit()
        try:
            return await operation()
        except EtcdUnavailable:
            self._known = False
            raise

    async def grant(self, ttl: int) -> Granted:
        """Make a lease."""
        return await self.ask(lambda: self.inner.grant(ttl))

    async def revoke(self, lease_id: int, *, timeout: float | None = None) -> None:
        """Delete a lease with its keys: no other cluster has one of that id, and whoever leaves has no time to ask."""
        await self.inner.revoke(lease_id, timeout=timeout)

    async def keep_alive(self) -> KeepAlive:
        """Open a stream of renewals."""
        await self.check()
        return await self.inner.keep_alive()

    async def watch(self, prefix: str, *, start: int) -> ChangeStream:
        """Open a stream of changes."""
        await self.check()
        return await self.inner.watch(prefix, start=start)

    async def check_version(self) -> None:
        """Raise EtcdRejected if the member is too old."""
        await self.inner.check_version()

    async def size(self) -> Size:
        """How much is stored."""
        return await self.ask(self.inner.size)

    def suspect(self, place: str) -> None:
        """Go to another member."""
        self.inner.suspect(place)

    async def close(self) -> None:
        """End every connection."""
        await self.inner.close()

    async def get(self, key: str) -> KeyValue | None:
        """The key's value."""
        return await self.ask(lambda: self.inner.kv.get(key))

    async def get_prefix(self, prefix: str, *, page_size: int = 1000) -> Listing:
        """All keys under the prefix."""
        return await self.ask(lambda: self.inner.kv.get_prefix(prefix, page_size=page_size))

    async def put(self, key: str, value: bytes, *, lease: int = 0, repeatable: bool = False) -> int:
        """Write."""
        put = self.inner.kv.put
        return await self.ask(lambda: put(key, value, lease=lease, repeatable=repeatable))

    async def put_if(self, key: str, value: bytes, *, mod_revision: int, lease: int = 0) -> PutOutcome:
        """Write if the key's revision is still this."""
        put_if = self.inner.kv.put_if
        return await self.ask(lambda: put_if(key, value, mod_revision=mod_revision, lease=lease))

    async def delete(self, key: str) -> bool:
        """Delete the key."""
        return await self.ask(lambda: self.inner.kv.delete(key))

    async def _admit(self) -> None:
        if not self._known:
            await self._looking.done()

    async def _look(self) -> None:
        try:
            await self._settle()
        except EtcdUnavailable:
            raise
        except StoreUnavailable as error:
            raise EtcdUnavailable(error.detail, sent=False, refused=error.refused) from error
        self._known = True

    async def _settle(self) -> None:
        mine, item = self._identity.id, await self.inner.kv.get(self._key)
        if item is None:
            if self._told:
                _log.warning("etcd has forgotten this cluster: it was replaced or emptied")
            try:
                outcome = await self.inner.kv.put_if(self._key, mine.encode(), mod_revision=0)
            except EtcdRejected as error:
                # It is full, say. Nobody else's it is, at any rate.
                _log.warning("etcd cannot be told which cluster it is of: %s", error)
                return
            item = outcome.existing
        self._told = True
        self._identity.compare("etcd", item.value.decode() if item is not None else mine, self._remedy)
