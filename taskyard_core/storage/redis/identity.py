"""Every connection is asked first which cluster its server is of, and told if it does not know."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from taskyard_core.storage.identity import ForeignStore, Identity
from taskyard_core.storage.redis.connection import available
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

Command = Callable[..., Awaitable[Any]]


class RedisIdentity:
    """One key that holds the cluster's id."""

    def __init__(self, identity: Identity, keys: Keys) -> None:
        self._identity = identity
        self._key = keys.cluster
        prefix = f"give each a --redis-prefix of its own, here it is {keys.prefix!r}"
        self._remedy = f"{prefix}, or delete the key {keys.cluster} if the other is gone"
        self._told = False

    async def admit(self, connection: Any) -> None:
        """Let a connection pass to a server that is this cluster's; raises RedisError."""
        await connection.on_connect()

        async def send(*words: str) -> Any:
            await connection.send_command(*words)
            return await connection.read_response()

        try:
            await self._settle(send)
        except StoreUnavailable as error:
            raise RedisConnectionError(error.detail) from error

    async def check(self, redis: Redis) -> None:
        """The same over what is open, which is closed to another cluster's server; raises StoreUnavailable."""
        try:
            async with available(redis):
                await self._settle(redis.execute_command)
        except ForeignStore:
            await redis.connection_pool.disconnect()
            raise

    async def _settle(self, send: Command) -> None:
        mine, found = self._identity.id, await send("GET", self._key)
        if found is None:
            if self._told:
                _log.warning("redis has forgotten this cluster: it was replaced or emptied")
            await send("SET", self._key, mine, "NX")
            found = await send("GET", self._key) or mine.encode()
        self._identity.compare("redis", found.decode(), self._remedy)
        self._told = True
