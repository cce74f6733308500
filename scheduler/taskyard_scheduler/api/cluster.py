"""The cluster: who leads, which dispatchers there are, which workers are connected."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskyard_core.domain import limits, submission
from taskyard_core.storage.etcd import Etcd, KeyValue
from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord, leader_of
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.tasks import PAGE_BYTES
from taskyard_core.storage.workers import Worker
from taskyard_core.version import VERSION
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.filters import Page
from taskyard_scheduler.api.traffic import Direction


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

    def __init__(self, etcd: Etcd, sessions: Sessions, leaving: Direction) -> None:
        self._etcd = etcd
        self._sessions = sessions
        self._leaving = leaving

    async def get(self) -> ClusterView:
        """Leader and dispatchers, by id."""
        leader = leader_of(await self._list(self._etcd.keys.election))
        alive = await self._list(self._etcd.keys.dispatchers)
        return ClusterView(VERSION, leader, [DispatcherRecord.from_json(item.value) for item in alive])

    async def workers(self, namespace: str, size: int, token: str, caller: str = "") -> Page[Worker]:
        """Workers of the namespace, or all where it is empty, by name; `token` is the page before's, or empty.

        `caller` is the connection that the answer goes to. Raises Failure, Violation.
        """
        size, after = filters.page_size(size, limits.PAGE_SIZE_MAX), filters.workers_after(namespace, token)
        where = submission.name("namespace", namespace) if namespace else None
        async with self._leaving.room(caller, PAGE_BYTES):
            workers, last = await self._sessions.workers(where, after, size)
        return Page(workers, filters.workers_token(namespace, last) if last else "")

    async def _list(self, prefix: str) -> tuple[KeyValue, ...]:
        return (await self._etcd.kv.get_prefix(prefix)).items
