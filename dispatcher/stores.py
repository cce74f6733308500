"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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
_PROBE_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive. `duties` is `tasks` too, apart from the hot path, and so
    is `probe`, by which Postgres is asked whether it answers."""

    tasks: TaskStore
    duties: TaskStore
    probe: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DispatcherSettings, application: str) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        identity, keys = Identity(), Keys(settings.redis_prefix)
        async with AsyncExitStack() as opened:

            async def postgres(kind: str, connections: int) -> PostgresStore:
                database = await Database.open(
                    settings.postgres_url,
                    application=f"{application}{kind}",
                    connections=connections,
                    admit=admission(identity),
                )
                opened.push_async_callback(database.close)
                return PostgresStore(database)

            tasks = await postgres("", settings.postgres_connections)
            duties = await postgres("-duties", _DUTY_CONNECTIONS)
            probe = await postgres("-probe", _PROBE_CONNECTIONS)
            whose = RedisIdentity(identity, keys)
            redis = connect(settings.redis_url, admit=whose.admit)
            opened.push_async_callback(redis.aclose)
            identity.watch("postgres", probe.ping)
            identity.watch("redis", lambda: whose.check(redis))
            etcd = await opened.enter_async_context(Etcd(settings.etcd, identity=identity))
            yield cls(tasks, duties, probe, RedisDelivery(redis, keys), etcd, identity)
