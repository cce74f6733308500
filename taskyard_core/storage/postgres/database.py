"""A pool of connections that says plainly when Postgres is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import asyncpg

from taskyard_core.runtime.pace import Pace
from taskyard_core.storage.postgres.answers import concluded, ours, read_only
from taskyard_core.storage.postgres.hosts import Hosts
from taskyard_core.storage.postgres.identity import Admission
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.target import Target
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.unavailable import NothingDone, StoreUnavailable, TooLong

if TYPE_CHECKING:
    # Generic for type checkers only.
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

Result = TypeVar("Result")

_log = logging.getLogger(__name__)

OLDEST = 14
"""The oldest major version of Postgres that will do."""

_BROKEN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

STATEMENT_SECONDS = 10.0
ANSWER_SECONDS = 15.0
"""How long a server is waited for that does not even end a statement, at least"""
ANSWER_MARGIN = 5.0
"""and beyond the time that the statement may take."""
_SESSION = {
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


class _Prepared(asyncpg.Connection):
    """A connection that can prepare a statement ahead of its first use."""

    async def ahead(self, query: str) -> None:
        """Prepare, unless that was done."""
        await self._get_statement(query, None)  # type: ignore[attr-defined]


class Database:
    """Connections to one Postgres. Opening never waits for the server: it may come later."""

    def __init__(self, pool: Pool, *, patience: float = 5.0) -> None:
        self._pool = pool
        self._patience = patience

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        application: str = "taskyard",
        connections: int = 10,
        statement_timeout: float = STATEMENT_SECONDS,
        admit: Admission | None = None,
    ) -> Self:
        """A pool of at most `connections`, made when first needed; `admit` has the first word on each.

        Postgres ends a statement after `statement_timeout` seconds. Raises ValueError for a URL that makes no sense.
        """
        target = Target.parse(url)
        hosts = Hosts(target.hosts)

        async def begin(connection: asyncpg.Connection) -> None:
            await _as_asked(connection)
            if admit is not None:
                await admit(connection)

        pool = asyncpg.create_pool(
            connect=hosts.connect,
            min_size=0,
            max_size=connections,
            # Postgres speaks first, unless it is frozen.
            command_timeout=max(ANSWER_SECONDS, statement_timeout + ANSWER_MARGIN),
            connection_class=_Prepared,
            # All that Taskyard ever asks; none is prepared again in the middle of a transaction.
            statement_cache_size=200,
            max_cached_statement_lifetime=0,
            max_inactive_connection_lifetime=300,
            reset=_keep,
            init=begin,
            server_settings={
                **target.server_settings,
                "application_name": application,
                "statement_timeout": f"{statement_timeout:g}s",
                **_SESSION,
            },
            **target.for_servers(),
        )
        # Whoever needs a connection may have to try every host for it.
        return cls(await pool, patience=max(5.0, 1.0 + target.connect_timeout * len(hosts)))

    async def close(self) -> None:
        """Drop all connections; a frozen server cannot hold it up."""
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside a transaction; raises StoreUnavailable."""
        with _translated():
            try:
                async with self._pool.acquire(timeout=self._patience) as connection, _trusted(connection):
                    yield connection
            except Exception as error:
                if _all_alike(error):
                    await self._pool.expire_connections()
                raise

    @asynccontextmanager
    async def transaction(self, *statements: str) -> AsyncIterator[Connection]:
        """A connection inside a transaction that commits at the end of the block; raises StoreUnavailable.

        `statements` names the queries that it may use. They are prepared before it begins: a client that is stopped
        between preparing a statement and running it is busy in the eyes of Postgres, which would not end its
        transaction, and would keep its locks for as long as it sleeps.
        """
        async with self.connection() as connection:
            for name in statements:
                await connection.ahead(load(name))  # type: ignore[attr-defined]
            async with connection.transaction():
                yield connection

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """What the work makes of a connection outside a transaction, tried again where nothing was done."""

        async def once() -> Result:
            async with self.connection() as connection:
                return await work(connection)

        return await retried(once)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of one statement, which is a transaction of its own."""
        return await self.run(lambda connection: connection.fetch(query, *args))

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Postgres answers, has the tables, and lets them be written."""
        await self.fetch(load("ping"))


class UnhurriedDatabase(Database):
    """Connections for what many may ask for and nobody hurries for: a crowd gets a third of what it could use."""

    def __init__(self, pool: Pool, *, patience: float = 5.0) -> None:
        super().__init__(pool, patience=patience)
        self._pace = Pace(pool.get_max_size(), rest=2.0)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """See Database; each connection rests after its use while others wait."""
        with _translated():
            async with self._pace.turn(self._patience), super().connection() as connection:
                yield connection


async def _as_asked(connection: asyncpg.Connection) -> None:
    """Raises StoreUnavailable for a server that is too old, and for a session that lacks the settings it began with."""
    version = connection.get_server_version()
    if version.major < OLDEST:
        detail = f"version {version.major} is too old: it must be Postgres {OLDEST} or newer"
        raise StoreUnavailable("postgres", detail, refused=True)
    names = [*_SESSION, "statement_timeout"]
    found = {row["name"]: row["value"] for row in await connection.fetch(load("settings_of_session"), names)}
    lost = [f"{name} = '{value}'" for name, value in _SESSION.items() if found.get(name) != value]
    if found.get("statement_timeout") == "0":
        # Pools have different ones, a pooler has one for all: any will do.
        lost.append(f"statement_timeout = '{STATEMENT_SECONDS:g}s'")
    if lost:
        detail = (
            f"a pooler such as PgBouncer drops what a session begins with: {', '.join(lost)}; ALTER ROLE … SET each, "
            "see docs/configuration.md, PgBouncer"
        )
        raise StoreUnavailable("postgres", detail, refused=True)


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
        # Ours on its answer; that on the wait for a connection is not raised in here.
        connection.terminate()
        raise TooLong("postgres", str(error) or type(error).__name__) from error
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) or _doubtful(error):
            # One that is closed already has left the pool, and says so.
            with suppress(asyncpg.InterfaceError):
                connection.terminate()
        raise


def _doubtful(error: Exception) -> bool:
    """Whether the connection should not be used again: another may reach another server, or one that was mended."""
    conclusion = concluded(error)
    return conclusion is not None and not isinstance(conclusion, NothingDone)


def _all_alike(error: Exception) -> bool:
    """Whether what happened to one connection has happened to all of the pool, which would each fail somebody once the
    server is back, or lead to one that takes no writes any more."""
    return read_only(error) or (isinstance(error, _BROKEN) and not isinstance(error, TimeoutError))


class _translated:  # noqa: N801 - reads as a phrase at its call
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, asyncpg.PostgresError):
            # Both may hold what is in a row, and end in a log.
            error.__dict__.update(detail=None, context=None)
        if error is not None and (conclusion := concluded(error)) is not None:
            if ours(error):
                _log.error("a statement of ours was not taken: %s", conclusion, exc_info=error)
            raise conclusion from error
