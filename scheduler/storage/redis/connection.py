"""The connection to Redis, and its failures in the project's own words."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError

from scheduler.storage.unavailable import StoreUnavailable

_AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
# What uvloop says of a connection that the server closed in the moment in which it was made.
_CLOSED = "the handler is closed"
# Before Redis 7 an error inside a script keeps its code in the middle of the text.
_AWAY_CODE = re.compile(r"\b(OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY) ")


def connect(
    url: str,
    *,
    max_connections: int = 16,
    connect_timeout: float = 1.0,
    command_timeout: float = 2.0,
    admit: Callable[[Any], Awaitable[None]] | None = None,
) -> Redis:
    """A client for `url` (`redis://`, `rediss://` or `unix://`); connects when first used. Timeouts in seconds.

    Parameters in the URL's query win over the ones here. Behind Sentinel, give a name that follows the primary. A
    command waits up to `command_timeout` for one of `max_connections` and as long again for each reply; a connection
    whose command was cancelled or timed out is closed. `admit` has the first word on each connection.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=command_timeout,
        socket_connect_timeout=connect_timeout,
        socket_timeout=command_timeout,
        decode_responses=False,
        # Replies never mix with pushes in RESP2, so the pool can tell a connection with unread bytes and drop it.
        protocol=2,
        # The library would otherwise send a script again of which it can't know whether it ran.
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=admit,
    )
    return Redis.from_pool(pool)


def translated(error: RedisError) -> RedisError | StoreUnavailable:
    """StoreUnavailable when the server is away or refuses everybody's writes, else the error itself."""
    if isinstance(error, _AWAY) or _AWAY_CODE.search(str(error)):
        return StoreUnavailable("redis", str(error) or type(error).__name__)
    return error


@asynccontextmanager
async def available(redis: Redis) -> AsyncIterator[None]:
    """Inside, an outage of the server appears as StoreUnavailable."""
    try:
        yield
    except RedisError as error:
        if isinstance(error, ReadOnlyError):
            # The server became a replica: the same address may lead to the new primary by now.
            await redis.connection_pool.disconnect(inuse_connections=False)
        raise translated(error) from error
    except OSError as error:
        # Not even a connection could be made: no descriptor was left for what the library reads first.
        raise StoreUnavailable("redis", str(error)) from error
    except RuntimeError as error:
        if _CLOSED not in str(error):
            raise
        raise StoreUnavailable("redis", str(error)) from error
