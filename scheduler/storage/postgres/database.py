"""A pool of connections that says plainly when Postgres is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from scheduler.storage.retrying import retried
from scheduler.storage.unavailable import NothingDone, StoreUnavailable, TooLong

if TYPE_CHECKING:
    # Generic for type checkers only.
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

# Away, going away, or not answering: the caller cannot know whether its statement took effect.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    # There, but not migrated yet.
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
)


_BROKEN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
# Postgres decided against us.
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# Postgres' own limits on time were hit. Ours on its answer is a TimeoutError, as is that on the wait for a connection.
_TOO_LONG = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)

_SESSION = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    # Short, so that a leader that was stopped in the middle of a duty cannot hold up the next one.
    "idle_in_transaction_session_timeout": "2s",
    "jit": "off",
    # Batches are joined with task by primary key. A plan that was cached while the tables were small would hash or scan
    # them, and would be kept after they have grown.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Database:
    """Connections to one Postgres. Opening never waits for the server: it may come later."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, application: str = "taskyard", connections: int = 10) -> "Database":
        """A pool of at most `connections`, made when first needed."""
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=connections,
            command_timeout=15,
            timeout=5,
            max_inactive_connection_lifetime=300,
            reset=_keep,
            server_settings={"application_name": application, **_SESSION},
        )
        return cls(await pool)

    async def close(self) -> None:
        """Drop all connections; a frozen server cannot hold it up."""
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside a transaction; raises StoreUnavailable."""
        with _translated():
            try:
                async with self._pool.acquire(timeout=5) as connection, _trusted(connection):
                    yield connection
            except _BROKEN as error:
                # The pool's other connections are as dead, and would each fail somebody once the server is back.
                if not isinstance(error, TimeoutError):
                    await self._pool.expire_connections()
                raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction that commits at the end of the block; raises StoreUnavailable."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of one statement, which is a transaction of its own."""

        async def once() -> list[asyncpg.Record]:
            async with self.connection() as connection:
                return await connection.fetch(query, *args)

        return await retried(once)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Postgres answers and has the tables."""
        await self.fetch("SELECT 1 FROM taskyard.leader")


async def _keep(_: object) -> None:
    """Nothing here changes a connection's session, so the pool's reset would only be a round trip for nothing."""


@asynccontextmanager
async def _trusted(connection: Connection) -> AsyncIterator[None]:
    """Closes a connection that may be in the middle of an answer: nobody may get it from the pool again."""
    try:
        yield
    except asyncpg.InternalClientError as error:
        connection.terminate()
        # It was in the middle of something when an outage broke it; nothing of ours was sent over it.
        raise NothingDone("postgres", str(error)) from error
    except TimeoutError as error:
        connection.terminate()
        raise TooLong("postgres", str(error) or type(error).__name__) from error
    except (*_AWAY, asyncio.CancelledError):
        # One that is closed already has left the pool, and says so.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
        raise


class _translated:  # noqa: N801 - reads as a phrase at its call
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _CONFLICTS):
            raise NothingDone("postgres", str(error)) from error
        if isinstance(error, _TOO_LONG):
            raise TooLong("postgres", str(error)) from error
        if isinstance(error, _AWAY) and not isinstance(error, asyncio.CancelledError):
            raise StoreUnavailable("postgres", str(error) or type(error).__name__) from error
