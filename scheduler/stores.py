"""The three stores as a scheduler opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scheduler.settings import SchedulerSettings
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.identity import Identity
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.identity import admission
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.redis import Keys, RedisDelivery, RedisIdentity, connect
from scheduler.storage.store import TaskStore


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive."""

    tasks: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SchedulerSettings) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        identity, keys = Identity(), Keys(settings.redis_prefix)
        database = await Database.open(
            settings.postgres_url,
            application=f"taskyard-scheduler-{settings.pod_name}",
            connections=settings.postgres_connections,
            admit=admission(identity),
        )
        whose = RedisIdentity(identity, keys)
        redis = connect(settings.redis_url, admit=whose.admit)
        identity.watch("postgres", database.ping)
        identity.watch("redis", lambda: whose.check(redis))
        try:
            async with Etcd(settings.etcd, identity=identity) as etcd:
                yield cls(PostgresStore(database), RedisDelivery(redis, keys), etcd, identity)
        finally:
            await redis.aclose()
            await database.close()
