"""One process's handle of the task store in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.storage.memory.link import Link
from scheduler.storage.memory.postgres.changes import Changes
from scheduler.storage.memory.postgres.claims import Claims
from scheduler.storage.memory.postgres.client import Client
from scheduler.storage.memory.postgres.dispatchers import Dispatchers
from scheduler.storage.memory.postgres.history import History
from scheduler.storage.memory.postgres.leader import LeaderFence
from scheduler.storage.memory.postgres.outbox import Outbox
from scheduler.storage.memory.postgres.queued import QueuedTasks
from scheduler.storage.memory.postgres.queues import StoredQueues
from scheduler.storage.memory.postgres.server import TaskServer
from scheduler.storage.memory.postgres.sessions import Sessions
from scheduler.storage.memory.postgres.submissions import Submissions
from scheduler.storage.memory.postgres.tasks import StoredTasks
from scheduler.storage.memory.postgres.transaction import Transaction
from scheduler.storage.memory.postgres.waiting import WaitingTasks
from scheduler.storage.memory.postgres.work import Work
from scheduler.storage.memory.postgres.workers import LiveWorkers


class MemoryTaskStore:
    """A TaskStore; see scheduler.storage.store. `application` names the process in what the observer is told."""

    def __init__(self, server: TaskServer, link: Link, application: str = "") -> None:
        self._client = client = Client(server, link, application)
        self.submissions = Submissions(client)
        self.claims = Claims(client)
        self.changes = Changes(client)
        self.sessions = Sessions(client)
        self.dispatchers = Dispatchers(client)
        self.outbox = Outbox(client)
        self.tasks = StoredTasks(client)
        self.queued = QueuedTasks(client)
        self.waiting = WaitingTasks(client)
        self.history = History(client)
        self.queues = StoredQueues(client)
        self.workers = LiveWorkers(client)
        self.leader = LeaderFence(client)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block; raises StoreUnavailable."""
        async with self._client.transaction() as opened:
            yield Transaction(opened)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the store answers."""
        await self._client.run(_nothing)


def _nothing(_: Work) -> None:
    return None
