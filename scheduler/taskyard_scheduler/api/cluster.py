"""The cluster: who leads, which dispatchers there are, which workers are connected."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskyard_core.domain import submission
from taskyard_core.storage.etcd import Etcd, KeyValue
from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord, leader_of
from taskyard_core.storage.workers import LiveWorkers, Worker
from taskyard_core.version import VERSION


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as this scheduler sees it; no `leader` while nobody leads."""

    version: str
    leader: Candidate | None
    dispatchers: Sequence[DispatcherRecord]

    def leads(self, dispatcher: DispatcherRecord) -> bool:
        """Whether that is the leader."""
        return self.leader is not None and self.leader.dispatcher_id == dispatcher.dispatcher_id


class Cluster:
    """Reads about the cluster. Every method raises StoreUnavailable."""

    def __init__(self, etcd: Etcd, workers: LiveWorkers) -> None:
        self._etcd = etcd
        self._workers = workers

    async def get(self) -> ClusterView:
        """Leader and dispatchers, by id."""
        leader = leader_of(await self._list(self._etcd.keys.election))
        alive = await self._list(self._etcd.keys.dispatchers)
        return ClusterView(VERSION, leader, [DispatcherRecord.from_json(item.value) for item in alive])

    async def workers(self, namespace: str) -> list[Worker]:
        """Workers of the namespace, or all where it is empty; raises Violation."""
        return await self._workers.all(submission.name("namespace", namespace) if namespace else None)

    async def _list(self, prefix: str) -> tuple[KeyValue, ...]:
        return (await self._etcd.kv.get_prefix(prefix)).items
