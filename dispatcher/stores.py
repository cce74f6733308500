"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dispatcher.settings import DispatcherSettings
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.identity import Identity
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.identity import admission
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.redis import Keys, RedisDelivery, RedisIdentity, connect
from scheduler.storage.store import TaskStore

_DUTY_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive. `duties` is `tasks` too, apart from the hot path."""

    tasks: TaskStore
    duties: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DispatcherSettings, application: str) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        identity, keys, url = Identity(), Keys(settings.redis_prefix), settings.postgres_url
        admit, connections = admission(identity), settings.postgres_connections
        database = await Database.open(url, application=application, connections=connections, admit=admit)
        duties = await Database.open(
            url, application=f"{application}-duties", connections=_DUTY_CONNECTIONS, admit=admit
        )
        whose = RedisIdentity(identity, keys)
        redis = connect(settings.redis_url, admit=whose.admit)
        delivery = RedisDelivery(redis, keys)
        identity.watch("postgres", database.ping)
        identity.watch("redis", lambda: whose.check(redis))
        try:
            async with Etcd(settings.etcd, identity=identity) as etcd:
                yield cls(PostgresStore(database), PostgresStore(duties), delivery, etcd, identity)
        finally:
            await redis.aclose()
            await duties.close()
            await database.close()
