"""Opening the three stores, as every server does it: each checked against the cluster that the others belong to."""

from contextlib import AsyncExitStack

from taskyard_core.runtime.settings import StoreSettings
from taskyard_core.storage.delivery import Delivery
from taskyard_core.storage.etcd import Etcd
from taskyard_core.storage.identity import Identity
from taskyard_core.storage.postgres.database import STATEMENT_SECONDS, Database, UnhurriedDatabase
from taskyard_core.storage.postgres.identity import admission
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.delivery import RedisDelivery
from taskyard_core.storage.redis.identity import RedisIdentity
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.store import TaskStore

_PROBE_CONNECTIONS = 2


class Opening:
    """Opens what one process needs, waiting for no server; the stack closes it."""

    def __init__(self, settings: StoreSettings, application: str, stack: AsyncExitStack) -> None:
        self.identity = Identity()
        self._settings = settings
        self._application = application
        self._stack = stack

    async def tasks(self) -> TaskStore:
        """The task store of the hot path."""
        return await self.apart("", self._settings.postgres_connections)

    async def apart(
        self, kind: str, connections: int, *, timeout: float = STATEMENT_SECONDS, unhurried: bool = False
    ) -> TaskStore:
        """The same over connections of its own, at most so many, whose statements take `timeout` seconds at most."""
        pool = UnhurriedDatabase if unhurried else Database
        database = await pool.open(
            self._settings.postgres_url,
            application=f"{self._application}{kind}",
            connections=connections,
            statement_timeout=timeout,
            admit=admission(self.identity),
        )
        self._stack.push_async_callback(database.close)
        return PostgresStore(database)

    async def probe(self) -> TaskStore:
        """The same, to ask whether Postgres answers."""
        probe = await self.apart("-probe", _PROBE_CONNECTIONS)
        self.identity.watch("postgres", probe.ping)
        return probe

    def delivery(self) -> Delivery:
        """Redis."""
        keys = Keys(self._settings.redis_prefix)
        whose = RedisIdentity(self.identity, keys)
        redis = connect(self._settings.redis_url, admit=whose.admit)
        self._stack.push_async_callback(redis.aclose)
        self.identity.watch("redis", lambda: whose.check(redis))
        return RedisDelivery(redis, keys)

    async def etcd(self) -> Etcd:
        """etcd."""
        return await self._stack.enter_async_context(Etcd(self._settings.etcd, identity=self.identity))
