"""The local cluster: every part a process, every link a proxy, everything under one directory."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from chaos.backends import database, streams
from chaos.backends.cluster import (
    SERVERS,
    Capability,
    Direction,
    Link,
    Part,
    Role,
    Sizes,
    Toxic,
    Unsupported,
)
from chaos.backends.local import descriptors
from chaos.backends.local.assembly import Assembly
from chaos.backends.local.layout import CLIENT, POSTGRES, REDIS
from chaos.backends.local.options import Options
from chaos.backends.local.process import tail
from chaos.backends.local.stores.postgres import USER
from chaos.backends.waiting import StillMissing, until_whole

WARM_UP = 3.0
"""Seconds that a part goes by the true time before its clock jumps."""
ALWAYS = frozenset(Capability) - {Capability.DISK, Capability.CLOCK}


class LocalCluster:
    """A cluster of this machine's own. Enter it in the main thread; SIGTERM then cancels what entered it.

    It fulfils the protocol `Cluster`.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._assembly = Assembly(options)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What does not raise Unsupported here."""
        extra = {Capability.DISK: bool(self._assembly.volume_bytes), Capability.CLOCK: self._assembly.clocks.available}
        return ALWAYS | {capability for capability, available in extra.items() if available}

    @property
    def rest_addresses(self) -> Sequence[str]:
        """URL of each scheduler's REST API, through the client's link."""
        return [f"http://{self._assembly.proxied[Link(CLIENT, name)][0]}" for name in self._assembly.layout.schedulers]

    @property
    def grpc_addresses(self) -> Sequence[str]:
        """host:port of each scheduler's gRPC API, through the client's link."""
        return [self._assembly.proxied[Link(CLIENT, name)][1] for name in self._assembly.layout.schedulers]

    @property
    def postgres_url(self) -> str:
        """The primary, not through any link."""
        return self._assembly.postgres.url

    @property
    def postgres_role(self) -> str:
        """The role that the servers log in with."""
        return USER

    @property
    def worker_logs(self) -> Path:
        """Where the workers' own logs are."""
        return self._assembly.worker_logs

    @property
    def links(self) -> Sequence[Link]:
        """Every link that `toxic` takes."""
        return self._assembly.proxies.links

    async def __aenter__(self) -> Self:
        """Starts everything; it is whole then."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._cancel_of(asyncio.current_task()))
        try:
            await self._assembly.start()
            await self.wait_whole(self._options.ready_seconds)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Ends everything, also when this is cancelled."""
        try:
            await self._assembly.close()
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

    def parts(self, role: Role | None = None) -> Sequence[Part]:
        """The parts of a role, or all, as they are now."""
        return self._assembly.parts(*(Role if role is None else (role,)))

    async def leader(self, role: Role = Role.DISPATCHER) -> str | None:
        """The leading dispatcher or etcd member, or the primary of Postgres or Redis."""
        match role:
            case Role.DISPATCHER:
                return await self._assembly.health.leader(self._assembly.rest)
            case Role.ETCD:
                return await self._assembly.etcd.leader()
            case Role.POSTGRES:
                return self._assembly.postgres.primary
            case Role.REDIS:
                return self._assembly.redis.primary
        raise Unsupported(f"no {role} leads")

    async def wait_whole(self, timeout: float) -> None:
        """Waits until every part runs and does its work."""
        try:
            await until_whole(self._assembly.missing, timeout)
        except StillMissing as error:
            for name in error.names:
                error.add_note(f"{name}: {tail(self._assembly.logs / f'{name}.log', 5)}")
            raise

    async def signal(self, part: str, number: signal.Signals) -> None:
        """Sends a signal to a part's own process."""
        self._assembly.members[part].process.send(number)

    async def freeze(self, part: str) -> None:
        """Stops a part with all its children."""
        self._assembly.members[part].freeze()

    async def thaw(self, part: str) -> None:
        """Lets a frozen part go on."""
        self._assembly.members[part].thaw()

    async def hold(self, part: str) -> None:
        """From now on the part is not started again when it ends."""
        self._assembly.members[part].hold()

    async def release(self, part: str) -> None:
        """Ends `hold`."""
        self._assembly.members[part].release()

    async def restart(
        self, part: str, *, environment: Mapping[str, str] | None = None, version: str | None = None
    ) -> None:
        """Ends a part in good order and starts it again."""
        member = self._assembly.members[part]
        if member.role not in (*SERVERS, Role.WORKER) and (environment or version):
            raise Unsupported("stores have one version, and no environment of their own")
        if environment is not None:
            member.environment = environment
        if version is not None:
            await self._assembly.versions.environment(version)  # refuses what there is not
            member.version = version
        await member.restart()

    async def wipe(self, part: str) -> None:
        """Kills a Redis and starts it without its data."""
        if part not in self._assembly.redis.members:
            raise Unsupported("only Redis may lose its data")
        await self._assembly.redis.wipe(part)

    async def toxic(
        self,
        link: Link,
        kind: Toxic,
        attributes: Mapping[str, int] | None = None,
        direction: Direction = Direction.DOWNSTREAM,
    ) -> None:
        """Spoils a link."""
        await self._assembly.proxies.spoil(link, kind, attributes or {}, direction)

    async def heal(self, link: Link) -> None:
        """Makes a link as good as new."""
        await self._assembly.proxies.heal(link)

    async def fill_disk(self, part: str) -> None:
        """Leaves no byte on the volume of a store."""
        if part not in self._assembly.places:
            raise Unsupported(f"{part} keeps nothing on disk")
        await self._assembly.places[part].fill()

    async def exhaust_descriptors(self, part: str) -> None:
        """Lets a part open nothing more."""
        descriptors.exhaust(self._assembly.members[part].process.family())

    async def jump_clock(self, part: str, seconds: float) -> None:
        """Starts a part anew with a clock that can be moved, and then moves it."""
        member, clocks = self._assembly.members[part], self._assembly.clocks
        if not clocks.moved(part):
            clocks.set(part, member.role, 0.0)
            await member.restart()
            await asyncio.sleep(WARM_UP)
        clocks.set(part, member.role, seconds)

    async def relieve(self, part: str) -> None:
        """Undoes `fill_disk`, `exhaust_descriptors` and `jump_clock`."""
        descriptors.restore(self._assembly.members[part].process.family())
        if part in self._assembly.places:
            await self._assembly.places[part].relieve()
        if self._assembly.clocks.moved(part):
            self._assembly.clocks.leave(part)
            await self._assembly.members[part].restart()

    async def postgres_execute(self, sql: str) -> list[dict[str, Any]]:
        """Runs a statement on the primary."""
        return await self._assembly.postgres.execute(sql)

    async def redis_command(self, *words: str | int) -> Any:
        """Runs a command on the primary."""
        return await self._assembly.redis.command(*words)

    async def postgres_failover(self) -> None:
        """Kills the primary and promotes its standby."""
        await self._assembly.reattached()
        await self._assembly.postgres.promote()
        await self._assembly.proxies.repoint(POSTGRES, self._assembly.postgres.address)
        self._assembly.reattach_standby()

    async def redis_failover(self) -> None:
        """Kills the primary and promotes its replica."""
        await self._assembly.redis.promote()
        await self._assembly.proxies.repoint(REDIS, self._assembly.redis.address)
        self._assembly.members[self._assembly.redis.replica].release()

    async def etcd_move_leader(self) -> str:
        """Hands etcd's leadership to another member."""
        return await self._assembly.etcd.move_leader()

    async def etcd_compact(self) -> None:
        """Forgets all revisions but the newest."""
        await self._assembly.etcd.compact()

    async def etcd_full(self, full: bool) -> None:
        """Raises etcd's alarm that its quota is used up, or disarms it."""
        await self._assembly.etcd.set_full(full)

    async def etcd_replace(self) -> None:
        """Kills all members and starts them without their data."""
        await self._assembly.etcd.replace()

    async def peaks(self) -> Mapping[str, int]:
        """The most memory that each server's process has had since its start."""
        return {part.name: _peak(part.pid) for role in SERVERS for part in self.parts(role) if part.pid is not None}

    async def sizes(self) -> Sizes:
        """Memory, connections, rows and stream lengths now."""
        families = {name: member.process.family() for name, member in self._assembly.members.items()}
        return Sizes(
            # Shared pages are counted once: Postgres is many processes around one block of memory.
            memory={name: _sum(its, lambda process: process.memory_full_info().pss) for name, its in families.items()},
            descriptors={name: _sum(its, psutil.Process.num_fds) for name, its in families.items()},
            postgres_connections=await database.connections(self.postgres_url),
            rows=await database.rows(self.postgres_url),
            redis_keys=await streams.keys(self._assembly.redis.url),
            streams=await streams.sizes(self._assembly.redis.url),
        )

    @staticmethod
    def _cancel_of(task: asyncio.Task[Any] | None) -> Callable[[], object]:
        if task is None:
            raise RuntimeError("a cluster is entered in a task")
        return task.cancel


def _peak(pid: int) -> int:
    """As Linux counts it, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


def _sum(processes: Iterable[psutil.Process], size: Callable[[psutil.Process], int]) -> int:
    """The sizes of those that are still there: Postgres ends and starts children as it likes."""
    whole = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            whole += size(process)
    return whole
