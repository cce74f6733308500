"""The connection to Redis, and its failures in the project's own words."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.storage.urls import StoreUrl

# The server is there, but not for now; everything else that it answers with an error is a refusal.
_AWAY = (
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
# What uvloop says of a connection that the server closed in the moment in which it was made.
_CLOSED = "the handler is closed"
# Before Redis 7 an error inside a script keeps its code in the middle of the text.
_AWAY_CODE = re.compile(r"\b(OOM|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY|UNKILLABLE|TRYAGAIN) ")
# Answers that say who they are meant for, in words that not everybody knows.
_WORDS = {
    "MOVED": "this is a node of a Redis Cluster, and Taskyard needs a server that has all keys",
    "CROSSSLOT": "this is a node of a Redis Cluster, and Taskyard needs a server that has all keys",
    "WRONGTYPE": "the key is somebody else's: give Taskyard another --redis-prefix, or delete the key",
}
_OLDEST = (6, 2)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_NOT_ZERO = frozenset({"socket_timeout", "socket_connect_timeout", "timeout", "max_connections"})
_PARAMETERS = frozenset(URL_QUERY_ARGUMENT_PARSERS) | {
    *("username", "password", "client_name", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"),
    *("ssl_password", "ssl_cert_reqs", "ssl_ciphers"),
}


def connect(
    url: str,
    *,
    max_connections: int = 16,
    connect_timeout: float = 1.0,
    command_timeout: float = 2.0,
    admit: Callable[[Any], Awaitable[None]] | None = None,
) -> Redis:
    """A client for `url` (`redis://`, `rediss://` or `unix://`); connects when first used. Timeouts in seconds.

    Parameters in the URL's query win over the ones here. Raises ValueError for a URL that makes no sense, and shows no
    part of a password. Behind Sentinel, give a name that follows the primary. A command waits up to `command_timeout`
    for one of `max_connections` and as long again for each reply; a connection whose command was cancelled or timed out
    is closed. `admit` has the first word on each connection.
    """
    pool = BlockingConnectionPool.from_url(
        understood(url),
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


def understood(url: str) -> str:
    """The URL with everything in it encoded as the library wants it; raises ValueError as `connect` does."""
    if url.startswith("unix://"):
        for name, value in parse_qsl(url.partition("?")[2]):
            _check(name, value)
        _construct(url)
        return url
    parsed = StoreUrl.parse(url)
    if parsed.scheme not in ("redis", "rediss"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if len(parsed.hosts) > 1:
        raise ValueError("has several hosts: give one name that leads to the primary")
    unknown = sorted(parsed.parameters.keys() - _PARAMETERS)
    if unknown:
        raise ValueError(f"has the parameter {unknown[0]!r}, which is none of {', '.join(sorted(_PARAMETERS))}")
    database = parsed.path.replace("/", "")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("has a path that is no number of a database")
    for name, value in parsed.parameters.items():
        _check(name, value)
    host, port = parsed.hosts[0] if parsed.hosts else ("localhost", None)
    credentials = f"{quote(parsed.user or '', '')}:{quote(parsed.password or '', '')}@"
    place = f"{f'[{host}]' if ':' in host else host}:{port or 6379}"
    encoded = f"{parsed.scheme}://{'' if credentials == ':@' else credentials}{place}/{database}"
    _construct(f"{encoded}?{urlencode(parsed.parameters)}")
    return f"{encoded}?{urlencode(parsed.parameters)}"


def _construct(url: str) -> None:
    """Raise ValueError for what the library would only find when it makes a connection, and then each time."""
    try:
        arguments: dict[str, Any] = dict(parse_url(url))
        for of_the_pool in ("max_connections", "timeout"):
            arguments.pop(of_the_pool, None)
        arguments.pop("connection_class", Connection)(**arguments)
    except (TypeError, ValueError, RedisError):
        # From None: the library's words may have a value in them.
        raise ValueError(
            "has a parameter that makes no sense, or not there: those that begin with ssl_ need rediss://"
        ) from None


def _check(name: str, value: str) -> None:
    if parser := URL_QUERY_ARGUMENT_PARSERS.get(name):
        try:
            parsed = parser(value)
        except (TypeError, ValueError):
            raise ValueError(f"has a parameter {name!r} that makes no sense") from None
        if isinstance(parsed, int | float) and not isinstance(parsed, bool) and not _NUMBER.fullmatch(value):
            raise ValueError(f"has a parameter {name!r} that is no number from 0 on")
        if not parsed and name in _NOT_ZERO:
            raise ValueError(f"has a parameter {name!r} that is 0")


def check_version(server: Mapping[str, Any]) -> None:
    """Raises StoreUnavailable where `INFO server` tells of one that is too old."""
    version = str(server.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST:
        detail = f"version {version} is too old: it must be Redis 6.2 or newer, or Valkey"
        raise StoreUnavailable("redis", detail, refused=True)


def translated(error: RedisError, asked: str = "") -> RedisError | StoreUnavailable:
    """What the error means to everybody: the server is away, or refuses; `asked` tells what.

    Only what the library itself refused to send is an error of its own: it is a mistake of ours.
    """
    if isinstance(error, exceptions.DataError):
        return error
    if not isinstance(error, (exceptions.ResponseError, exceptions.AuthenticationError)):
        return StoreUnavailable("redis", _said(error))
    said = _said(error)
    if isinstance(error, _AWAY) or _AWAY_CODE.search(f"{said} "):
        return StoreUnavailable("redis", said)
    words = next((words for code, words in _WORDS.items() if code in said), "")
    return StoreUnavailable("redis", "; ".join(filter(None, (said, asked, words))), refused=True)


def _said(error: RedisError) -> str:
    """The server's answer, with the code that the library takes off."""
    text, code = str(error) or type(error).__name__, getattr(error, "status_code", None)
    return text if not code or code == "ERR" or text.startswith(code) else f"{code} {text}"


@asynccontextmanager
async def available(redis: Redis) -> AsyncIterator[None]:
    """Inside, an outage of the server, or its refusal, appears as StoreUnavailable."""
    try:
        try:
            yield
        except RedisError as error:
            raise translated(error) from error
    except StoreUnavailable as error:
        if error.refused:
            # The server became a replica: the same address may lead to the new primary by now. Or connections are
            # still those of a user whose rights have changed.
            await redis.connection_pool.disconnect(inuse_connections=False)
        raise
    except OSError as error:
        # Not even a connection could be made: no descriptor was left for what the library reads first.
        raise StoreUnavailable("redis", str(error)) from error
    except RuntimeError as error:
        if _CLOSED not in str(error):
            raise
        raise StoreUnavailable("redis", str(error)) from error
