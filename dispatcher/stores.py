"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dispatcher.settings import DispatcherSettings
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.redis import Keys, RedisDelivery, connect
from scheduler.storage.store import TaskStore

_DUTY_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive. `duties` is `tasks` too, apart from the hot path."""

    tasks: TaskStore
    duties: TaskStore
    delivery: Delivery
    etcd: Etcd

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DispatcherSettings, application: str) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        url = settings.postgres_url
        database = await Database.open(url, application=application, connections=settings.postgres_connections)
        duties = await Database.open(url, application=f"{application}-duties", connections=_DUTY_CONNECTIONS)
        redis = connect(settings.redis_url)
        delivery = RedisDelivery(redis, Keys(settings.redis_prefix))
        try:
            async with Etcd(settings.etcd) as etcd:
                yield cls(PostgresStore(database), PostgresStore(duties), delivery, etcd)
        finally:
            await redis.aclose()
            await duties.close()
            await database.close()
