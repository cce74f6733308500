"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from dispatcher.settings import DispatcherSettings
from scheduler.storage.etcd import Etcd
from scheduler.storage.postgres.database import Database
from scheduler.storage.redis.connection import connect
from scheduler.storage.redis.keys import Keys

_DUTY_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Stores:
    """Connections; opening them waits for no server. `duties` is Postgres too, apart from the hot path's pool."""

    database: Database
    duties: Database
    redis: Redis
    keys: Keys
    etcd: Etcd

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DispatcherSettings, application: str) -> AsyncIterator["Stores"]:
        """Open all of them, and close them in the end."""
        url = settings.postgres_url
        database = await Database.open(url, application=application, connections=settings.postgres_connections)
        duties = await Database.open(url, application=f"{application}-duties", connections=_DUTY_CONNECTIONS)
        redis = connect(settings.redis_url)
        try:
            async with Etcd(settings.etcd) as etcd:
                yield cls(database, duties, redis, Keys(settings.redis_prefix), etcd)
        finally:
            await redis.aclose()
            await duties.close()
            await database.close()
