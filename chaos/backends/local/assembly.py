"""What a local cluster consists of, how it is started, and what of it is missing."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from chaos.backends.cluster import SERVERS, STORES, Link, Part, Role
from chaos.backends.health import Health
from chaos.backends.local.clock import Clocks
from chaos.backends.local.layout import ETCD_MEMBERS, POSTGRES, REDIS, REPLICA, STANDBY, make_layout
from chaos.backends.local.member import Member
from chaos.backends.local.options import Options
from chaos.backends.local.place import Place
from chaos.backends.local.port import free_address
from chaos.backends.local.process import run
from chaos.backends.local.program import can_mount
from chaos.backends.local.proxies import Proxies
from chaos.backends.local.roles import Roles
from chaos.backends.local.stores.etcd import Addresses, Etcd
from chaos.backends.local.stores.postgres import Postgres
from chaos.backends.local.stores.redis import Redis
from chaos.backends.local.versions import Versions

POSTGRES_PARTS = ("postgres-1", "postgres-2")
REDIS_PARTS = ("redis-1", "redis-2")


class Assembly:
    """All parts of one cluster, with what lies between them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.directory = options.directory.resolve()
        self.logs = self.directory / "logs"
        self.worker_logs = self.directory / "worker-logs"
        self.layout = make_layout(options.schedulers, options.dispatchers, len(options.workers), free_address)
        self.clocks = Clocks(self.directory / "clocks", wanted=options.clocks)
        self.versions = Versions(self.directory / "previous", options.previous)
        self.volume_bytes = options.volume_bytes if can_mount() else 0
        self.places = {name: self._place(name) for name in (*POSTGRES_PARTS, *REDIS_PARTS, *ETCD_MEMBERS)}
        self.proxies = Proxies(self.logs / "toxiproxy.log")
        self.health = Health()
        self.proxied: dict[Link, list[str]] = {}
        self.members: dict[str, Member] = {}
        self.postgres: Postgres
        self.redis: Redis
        self.etcd: Etcd
        self._attaching: asyncio.Task[None] | None = None
        self._exits = AsyncExitStack()

    async def start(self) -> None:
        """Starts everything; whoever calls this calls `close` afterwards, whatever came of it."""
        self.worker_logs.mkdir(parents=True)
        # Nobody else's business, e.g. what a handler logs.
        self.directory.chmod(0o700)
        await self._open_proxies()
        await self._start_stores()
        await run(self.roles.migration(self.postgres.url))
        await self._start(self.roles.members())

    async def close(self) -> None:
        """Ends everything in good order, what does not end by force."""
        await self._exits.aclose()

    @property
    def rest(self) -> list[str]:
        """URL of each scheduler's REST API, not through any link."""
        return [f"http://{self.layout.parts[name]['rest']}" for name in self.layout.schedulers]

    @property
    def roles(self) -> Roles:
        """How the parts that aren't stores are started."""
        return Roles(
            options=self.options,
            layout=self.layout,
            proxied=self.proxied,
            clocks=self.clocks,
            versions=self.versions,
            postgres=self.postgres,
            redis=self.redis,
            logs=self.logs,
            worker_logs=self.worker_logs,
        )

    def parts(self, *roles: Role) -> list[Part]:
        """The parts of some roles."""
        return [member.part for member in self.members.values() if member.role in roles]

    async def missing(self) -> list[str]:
        """Names of what does not run or does not do its work, the cause before what follows from it."""
        away = [name for name, member in self.members.items() if member.pid is None or member.frozen]
        return away or await self._missing_stores() or await self._missing_roles()

    def reattach_standby(self) -> None:
        """Lets the former primary of Postgres come back as a standby, without waiting for it."""
        self.members[self.postgres.standby].release()
        self._attaching = asyncio.create_task(self.postgres.attach(), name="attach the standby")

    async def reattached(self) -> None:
        """Waits until the last failover of Postgres has been followed by a new standby."""
        if self._attaching is not None:
            await self._attaching

    async def _open_proxies(self) -> None:
        self._exits.push_async_callback(self.proxies.close)
        self._exits.push_async_callback(self.health.close)
        await self.proxies.start()
        for link, upstream in self.layout.links():
            self.proxied.setdefault(link, []).append(await self.proxies.open(link, upstream))

    async def _start_stores(self) -> None:
        for place in self.places.values():
            self._exits.push_async_callback(place.close)
            await place.make()
        postgres, redis, etcd = self._make_stores()
        self._exits.push_async_callback(etcd.close)
        self._keep([*postgres.members.values(), *redis.members.values(), *etcd.members.values()])
        self._exits.push_async_callback(self._stop_attaching)
        try:
            async with asyncio.timeout(self.options.ready_seconds):
                await asyncio.gather(postgres.start(), redis.start(), etcd.start())
        except TimeoutError:
            raise TimeoutError(f"the stores did not start; their logs are in {self.logs}") from None

    def _make_stores(self) -> tuple[Postgres, Redis, Etcd]:
        clients = {name: self.layout.parts[name]["client"] for name in self.places}
        places = self.places
        (standby,), (replica,) = self.proxied[Link(STANDBY, POSTGRES)], self.proxied[Link(REPLICA, REDIS)]
        etcd = {
            name: Addresses(clients[name], self.layout.parts[name]["peer"], self.proxied[Link("etcd", name)][0])
            for name in ETCD_MEMBERS
        }
        self.postgres = Postgres(
            {name: places[name] for name in POSTGRES_PARTS}, self.logs, standby, clients, self.clocks
        )
        self.redis = Redis({name: places[name] for name in REDIS_PARTS}, self.logs, replica, clients, self.clocks)
        self.etcd = Etcd({name: places[name] for name in ETCD_MEMBERS}, self.logs, etcd)
        return self.postgres, self.redis, self.etcd

    async def _start(self, members: Sequence[Member]) -> None:
        self._keep([member for member in members if member.role in SERVERS])
        self._keep([member for member in members if member.role is Role.WORKER])
        await asyncio.gather(*(member.start() for member in members))

    def _keep(self, members: Sequence[Member]) -> None:
        self.members |= {member.name: member for member in members}

        async def stop() -> None:
            await asyncio.gather(*(member.close() for member in members))

        self._exits.push_async_callback(stop)

    async def _stop_attaching(self) -> None:
        if self._attaching is not None:
            self._attaching.cancel()
            await asyncio.wait([self._attaching])

    async def _missing_stores(self) -> list[str]:
        if self._attaching is not None and self._attaching.done():
            self._attaching.result()
        states = await asyncio.gather(self.postgres.in_step(), self.redis.in_step(), self.etcd.in_step())
        return [str(role) for role, in_step in zip(STORES, states, strict=True) if not in_step]

    async def _missing_roles(self) -> list[str]:
        unready = await self.health.unready(self.parts(*SERVERS))
        if unready:
            return unready
        if await self.health.leader(self.rest) is None:
            return ["leader"]
        return await self.health.unconnected(self.rest, self.parts(Role.WORKER), self._namespaces())

    def _namespaces(self) -> set[str]:
        return {hand.environment.get("TASKYARD_NAMESPACE", "default") for hand in self.options.workers}

    def _place(self, name: str) -> Place:
        return Place(self.directory / "stores" / name, self.logs / f"{name}.volume.log", self.volume_bytes)
