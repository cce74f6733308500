"""The cluster: who leads, which dispatchers there are, which workers are connected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from taskyard_core.domain import submission
from taskyard_core.storage.workers import LiveWorkers, Worker
from taskyard_core.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderRecord:
    """The dispatcher that leads; its term rises with each election."""

    id: str
    term: int
    pid: int
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherRecord:
    """A dispatcher that is alive. Addresses are host:port."""

    id: str
    pid: int
    pod: str
    session_address: str
    http_address: str
    version: str
    started_at: datetime | None


class Membership(Protocol):
    """Who is alive; raises StoreUnavailable."""

    async def leader(self) -> LeaderRecord | None:
        """Who leads, None while nobody does."""

    async def dispatchers(self) -> Sequence[DispatcherRecord]:
        """All dispatchers that are alive, by id."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as this scheduler sees it."""

    version: str
    leader: LeaderRecord | None
    dispatchers: Sequence[DispatcherRecord]


class Cluster:
    """Reads about the cluster. Every method raises StoreUnavailable."""

    def __init__(self, membership: Membership, workers: LiveWorkers) -> None:
        self._membership = membership
        self._workers = workers

    async def get(self) -> ClusterView:
        """Leader and dispatchers."""
        leader = await self._membership.leader()
        return ClusterView(VERSION, leader, await self._membership.dispatchers())

    async def workers(self, namespace: str) -> list[Worker]:
        """Workers of the namespace, or all where it is empty; raises Violation."""
        return await self._workers.all(submission.name("namespace", namespace) if namespace else None)
