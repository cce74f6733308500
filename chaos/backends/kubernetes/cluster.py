"""The cluster on Kubernetes: parts are pods and named like them, so that a killed one comes back under another name."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from lightkube import AsyncClient, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.utils.quantity import parse_quantity

from chaos.backends import database, streams
from chaos.backends.cluster import SERVERS, Capability, Direction, Link, Part, Role, Sizes, Toxic, Unsupported
from chaos.backends.health import Health
from chaos.backends.kubernetes import mesh
from chaos.backends.kubernetes.experiments import Experiments
from chaos.backends.kubernetes.pods import APPLICATION, COMPONENT, LABELS, NAME, Pods
from chaos.backends.waiting import until_whole

AT_ONCE = 0
# Stores that answer for all their pods at one address.
SERVICES = (Role.POSTGRES, Role.REDIS)
PodMetrics = create_namespaced_resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a cluster is and how it is reached from here.

    `volumes` says where the pods of a store mount their data. Without `config` it is the one kubectl uses, or the
    service account of the pod that this runs in.
    """

    namespace: str
    rest: tuple[str, ...]
    grpc: tuple[str, ...]
    postgres_url: str
    redis_url: str
    worker_logs: Path
    volumes: Mapping[Role, str] = field(default_factory=dict)
    config: KubeConfig | None = None
    ready_seconds: float = 300.0


class KubernetesCluster:
    """A cluster that somebody deployed. It fulfils the protocol `Cluster` as far as the Kubernetes API goes."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._client = AsyncClient(config=options.config, namespace=options.namespace)
        self._pods = Pods(self._client, options.namespace)
        self._experiments = Experiments(self._client, options.namespace)
        self._health = Health()
        self._held: set[str] = set()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What does not raise Unsupported, given Chaos Mesh."""
        disk = {Capability.DISK} if self._options.volumes else set()
        return frozenset({Capability.HOLD, Capability.LINKS, Capability.CLOCK, *disk})

    @property
    def rest_addresses(self) -> Sequence[str]:
        """URL of each scheduler's REST API."""
        return self._options.rest

    @property
    def grpc_addresses(self) -> Sequence[str]:
        """host:port of each scheduler's gRPC API."""
        return self._options.grpc

    @property
    def postgres_url(self) -> str:
        """The primary."""
        return self._options.postgres_url

    @property
    def postgres_role(self) -> str:
        """Unsupported: roles are for whatever runs Postgres."""
        return _unsupported("roles are for whatever runs Postgres")

    @property
    def worker_logs(self) -> Path:
        """Where the workers' own logs are collected."""
        return self._options.worker_logs

    @property
    def links(self) -> Sequence[Link]:
        """From each server to the stores that are pods too, and from each worker to each dispatcher."""
        stores = [str(role) for role in SERVICES if self.parts(role)]
        stores += [part.name for part in self.parts(Role.ETCD)]
        servers = [part.name for role in SERVERS for part in self.parts(role)]
        to_stores = [Link(server, store) for server in servers for store in stores]
        dispatchers = self.parts(Role.DISPATCHER)
        sessions = [Link(worker.name, server.name) for worker in self.parts(Role.WORKER) for server in dispatchers]
        return sorted([*to_stores, *sessions])

    async def __aenter__(self) -> Self:
        """Finds the pods and waits until all are ready."""
        try:
            await self._pods.start()
            await self.wait_whole(self._options.ready_seconds)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Deletes the experiments that are left; the pods stay."""
        try:
            await self._experiments.close()
        finally:
            await self._pods.close()
            await self._health.close()
            await self._client.close()

    def parts(self, role: Role | None = None) -> Sequence[Part]:
        """The pods as they were a moment ago."""
        return self._pods.parts(list(Role) if role is None else [role])

    async def leader(self, role: Role = Role.DISPATCHER) -> str | None:
        """The leading dispatcher's pod."""
        if role is not Role.DISPATCHER:
            raise Unsupported(f"who leads {role} is known to whatever runs it")
        return await self._health.leader(self.rest_addresses)

    async def wait_whole(self, timeout: float) -> None:
        """Waits until as many pods are ready as at the start, and somebody leads."""
        await until_whole(self._missing, timeout)

    async def signal(self, part: str, number: signal.Signals) -> None:
        """SIGKILL and SIGTERM, by deleting the pod without and with grace; of a held part, by stopping it."""
        graces = {signal.SIGKILL: AT_ONCE, signal.SIGTERM: None}
        if number not in graces:
            raise Unsupported(f"{number.name}: nobody outside of a container can send it")
        if part in self._held:
            await self._experiments.begin(("hold", part), mesh.absence(self._pod(part)))
        else:
            await self._pods.delete(part, graces[number])

    async def freeze(self, part: str) -> None:
        """Unsupported: a container's first process takes no SIGSTOP from within."""
        _unsupported(f"freezing {part} takes access to its node")

    async def thaw(self, part: str) -> None:
        """Unsupported."""
        _unsupported(f"{part} cannot be frozen")

    async def hold(self, part: str) -> None:
        """From now on `signal` takes the part away until it is released."""
        self._held.add(part)

    async def release(self, part: str) -> None:
        """Ends `hold`."""
        self._held.discard(part)
        await self._experiments.end(("hold", part))

    async def restart(
        self, part: str, *, environment: Mapping[str, str] | None = None, version: str | None = None
    ) -> None:
        """Deletes a pod with grace and waits for the next one."""
        if environment is not None or version is not None:
            raise Unsupported("environment and version belong to the Deployment: change them there")
        await self._pods.delete(part, None)
        await self.wait_whole(self._options.ready_seconds)

    async def wipe(self, part: str) -> None:
        """Unsupported: the data outlives the pod."""
        _unsupported(f"the data of {part} belongs to its volume")

    async def toxic(
        self,
        link: Link,
        kind: Toxic,
        attributes: Mapping[str, int] | None = None,
        direction: Direction = Direction.DOWNSTREAM,
    ) -> None:
        """Spoils a link; DOWN drops packets, it does not refuse connections."""
        experiment = mesh.link(self._pod(link.source), self._target(link), kind, attributes or {}, direction)
        await self._experiments.begin(link, experiment)

    async def heal(self, link: Link) -> None:
        """Makes a link as good as new."""
        await self._experiments.end(link)

    async def fill_disk(self, part: str) -> None:
        """Makes writes to a store's volume fail with ENOSPC."""
        volume = mesh.volume_of(self._pods.part(part).role, self._options.volumes)
        await self._experiments.begin(("relieve", part), mesh.full_disk(self._pod(part), volume))

    async def exhaust_descriptors(self, part: str) -> None:
        """Unsupported."""
        _unsupported(f"limits of {part} cannot be changed from outside of its node")

    async def jump_clock(self, part: str, seconds: float) -> None:
        """Moves a pod's wall clock."""
        await self.relieve(part)
        await self._experiments.begin(("relieve", part), mesh.clock(self._pod(part), seconds))

    async def relieve(self, part: str) -> None:
        """Undoes `fill_disk` and `jump_clock`."""
        await self._experiments.end(("relieve", part))

    async def postgres_execute(self, sql: str) -> list[dict[str, Any]]:
        """Runs a statement on the primary."""
        return await database.execute(self._options.postgres_url, sql)

    async def redis_command(self, *words: str | int) -> Any:
        """Runs a command on the primary."""
        return await streams.command(self._options.redis_url, *words)

    async def postgres_failover(self) -> None:
        """Unsupported: it is the operator's that runs Postgres."""
        _unsupported("kill the primary's pod: failing over is for whatever runs Postgres")

    async def redis_failover(self) -> None:
        """Unsupported: it is the operator's that runs Redis."""
        _unsupported("kill the primary's pod: failing over is for whatever runs Redis")

    async def etcd_move_leader(self) -> str:
        """Unsupported."""
        _unsupported("etcd's members cannot be called from here")

    async def etcd_compact(self) -> None:
        """Unsupported."""
        _unsupported("etcd's members cannot be called from here")

    async def etcd_full(self, full: bool) -> None:  # noqa: ARG002 - the protocol's
        """Unsupported."""
        _unsupported("etcd's members cannot be called from here")

    async def etcd_replace(self) -> None:
        """Unsupported."""
        _unsupported("etcd's members cannot be called from here")

    async def peaks(self) -> Mapping[str, int]:
        """Nobody counts them here."""
        return {}

    async def sizes(self) -> Sizes:
        """Memory as metrics-server knows it, connections, rows and stream lengths; descriptors are unknown."""
        return Sizes(
            memory=await self._memory(),
            descriptors={},
            postgres_connections=await database.connections(self._options.postgres_url),
            rows=await database.rows(self._options.postgres_url),
            redis_keys=await streams.keys(self._options.redis_url),
            streams=await streams.sizes(self._options.redis_url),
        )

    async def _memory(self) -> dict[str, int]:
        found = self._client.list(PodMetrics, namespace=self._options.namespace, labels=LABELS)
        return {metrics["metadata"]["name"]: _used(metrics["containers"]) async for metrics in found}

    async def _missing(self) -> list[str]:
        await self._pods.look()
        short = self._pods.short()
        if not short and await self.leader() is None:
            return ["leader"]
        return short

    def _pod(self, name: str) -> mesh.Spec:
        return mesh.pod(self._options.namespace, self._pods.part(name).name)

    def _target(self, link: Link) -> mesh.Spec:
        if link.target in SERVICES:
            return mesh.component(self._options.namespace, {NAME: APPLICATION, COMPONENT: link.target})
        return self._pod(link.target)


def _used(containers: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(parse_quantity(container["usage"]["memory"]) or 0) for container in containers)


def _unsupported(why: str) -> NoReturn:
    raise Unsupported(why)
