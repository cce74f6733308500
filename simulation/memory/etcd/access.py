"""etcd in memory as one process reaches it."""

from functools import partial

from simulation.memory.etcd.client import EtcdClient
from simulation.memory.etcd.server import EtcdServer
from simulation.memory.etcd.streams import MemoryChangeStream, MemoryKeepAlive
from simulation.memory.link import Direct, Link
from taskyard_core.storage.etcd.access import Granted, KeyValue, Listing, PutOutcome, Size


class MemoryAccess:
    """See taskyard_core.storage.etcd.Access: give it to an Etcd. `patience` is in seconds, as EtcdSettings has it.

    Calls are not repeated, not even those that the client of the real etcd may repeat: callers do that as well.
    """

    def __init__(self, server: EtcdServer, link: Link | None = None, *, patience: float = 2.0) -> None:
        self._client = EtcdClient(server, link or Direct(), patience)
        self.kv = MemoryKeys(self._client)
        self.patience = patience

    async def check_version(self) -> None:
        """It is as old as this program."""

    async def grant(self, ttl: int) -> Granted:
        """Make a lease of `ttl` seconds."""
        return await self._client.call(partial(self._client.server.grant, ttl))

    async def revoke(self, lease_id: int, *, timeout: float | None = None) -> None:
        """Delete a lease with its keys; raises LeaseNotFound."""
        await self._client.call(partial(self._client.server.revoke, lease_id), timeout)

    async def keep_alive(self) -> MemoryKeepAlive:
        """Open a stream of renewals."""
        return MemoryKeepAlive(self._client)

    async def watch(self, prefix: str, *, start: int) -> MemoryChangeStream:
        """Open a stream of the changes under `prefix` from revision `start` on."""
        return await MemoryChangeStream.open(self._client, prefix, start)

    async def size(self) -> Size:
        """How large the database is."""
        return await self._client.call(self._client.server.size)

    def suspect(self, place: str) -> None:
        """There is no other member to go to."""

    async def close(self) -> None:
        """End every connection, as the process's death does."""
        self._client.server.leave(self._client)


class MemoryKeys:
    """See taskyard_core.storage.etcd.KeySpace."""

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._server = client.server

    async def get(self, key: str) -> KeyValue | None:
        """Return the key's current value, or None if it doesn't exist."""
        return await self._client.call(partial(self._server.get, key))

    async def get_prefix(self, prefix: str, *, page_size: int = 1000) -> Listing:
        """Return all keys under `prefix` as they are at one revision."""
        return await self._client.call(partial(self._server.listing, prefix))

    async def put(self, key: str, value: bytes, *, lease: int = 0, repeatable: bool = False) -> int:
        """Write and return the revision."""
        return await self._client.call(partial(self._server.put, key, value, lease))

    async def put_if(self, key: str, value: bytes, *, mod_revision: int, lease: int = 0) -> PutOutcome:
        """Write if the key's mod revision is still this; 0 means the key must not exist."""
        return await self._client.call(partial(self._server.put_if, key, value, mod_revision, lease))

    async def delete(self, key: str) -> bool:
        """Delete the key and return whether it existed."""
        return await self._client.call(partial(self._server.delete, key))
