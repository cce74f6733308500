"""The three stores as a scheduler opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scheduler.settings import SchedulerSettings
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.redis import Keys, RedisDelivery, connect
from scheduler.storage.store import TaskStore


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive."""

    tasks: TaskStore
    delivery: Delivery
    etcd: Etcd

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SchedulerSettings) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        database = await Database.open(
            settings.postgres_url,
            application=f"taskyard-scheduler-{settings.pod_name}",
            connections=settings.postgres_connections,
        )
        redis = connect(settings.redis_url)
        try:
            async with Etcd(settings.etcd) as etcd:
                yield cls(PostgresStore(database), RedisDelivery(redis, Keys(settings.redis_prefix)), etcd)
        finally:
            await redis.aclose()
            await database.close()
