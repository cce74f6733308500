"""The three stores as a scheduler opens them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from scheduler.settings import SchedulerSettings
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.identity import Identity
from scheduler.storage.postgres.database import Database, UnhurriedDatabase
from scheduler.storage.postgres.identity import admission
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.redis import Keys, RedisDelivery, RedisIdentity, connect
from scheduler.storage.store import TaskStore

LIST_CONNECTIONS = 2
LIST_TIMEOUT = 5.0
"""Seconds that a list may take, or what is done to many dead letters at once."""
PROBE_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive.

    `lists` and `probe` are `tasks` too, over connections of their own: whoever lists what he likes takes none from
    those who submit, and whether Postgres answers is asked beside both.
    """

    tasks: TaskStore
    lists: TaskStore
    probe: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SchedulerSettings) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        application = f"taskyard-scheduler-{settings.pod_name}"
        identity, keys = Identity(), Keys(settings.redis_prefix)
        async with AsyncExitStack() as opened:

            async def postgres(
                kind: str, connections: int, timeout: float = 10.0, pool: type[Database] = Database
            ) -> PostgresStore:
                database = await pool.open(
                    settings.postgres_url,
                    application=f"{application}{kind}",
                    connections=connections,
                    statement_timeout=timeout,
                    admit=admission(identity),
                )
                opened.push_async_callback(database.close)
                return PostgresStore(database)

            tasks = await postgres("", settings.postgres_connections)
            lists = await postgres("-lists", LIST_CONNECTIONS, LIST_TIMEOUT, UnhurriedDatabase)
            probe = await postgres("-probe", PROBE_CONNECTIONS)
            whose = RedisIdentity(identity, keys)
            redis = connect(settings.redis_url, admit=whose.admit)
            opened.push_async_callback(redis.aclose)
            identity.watch("postgres", probe.ping)
            identity.watch("redis", lambda: whose.check(redis))
            etcd = await opened.enter_async_context(Etcd(settings.etcd, identity=identity))
            yield cls(tasks, lists, probe, RedisDelivery(redis, keys), etcd, identity)
