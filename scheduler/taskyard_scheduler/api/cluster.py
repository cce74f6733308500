"""The cluster: who leads, which dispatchers there are, which workers are connected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from taskyard_core.domain import limits, submission
from taskyard_core.storage.tasks import PAGE_BYTES
from taskyard_core.storage.workers import LiveWorkers, Worker
from taskyard_core.version import VERSION
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.traffic import Direction


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


@dataclass(frozen=True, slots=True)
class WorkerPage:
    """Some workers, by name; the token is empty on the last page."""

    workers: list[Worker]
    next_page_token: str


class Cluster:
    """Reads about the cluster. Every method raises StoreUnavailable."""

    def __init__(self, membership: Membership, workers: LiveWorkers, leaving: Direction) -> None:
        self._membership = membership
        self._workers = workers
        self._leaving = leaving

    async def get(self) -> ClusterView:
        """Leader and dispatchers."""
        leader = await self._membership.leader()
        return ClusterView(VERSION, leader, await self._membership.dispatchers())

    async def workers(self, namespace: str, size: int, token: str, caller: str = "") -> WorkerPage:
        """Workers of the namespace, or all where it is empty, by name; `token` is the page before's, or empty.

        `caller` is the connection that the answer goes to. Raises Failure, Violation.
        """
        size, after = filters.page_size(size, limits.PAGE_SIZE_MAX), filters.workers_after(namespace, token)
        where = submission.name("namespace", namespace) if namespace else None
        async with self._leaving.room(caller, PAGE_BYTES):
            workers, last = await self._workers.page(where, after, size)
        return WorkerPage(workers, filters.workers_token(namespace, last) if last else "")
