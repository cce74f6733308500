"""One process's handle of the task store in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulation.memory.link import Link
from simulation.memory.postgres.changes import Changes
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.leader import LeaderFence
from simulation.memory.postgres.queued import QueuedTasks
from simulation.memory.postgres.queues import StoredQueues
from simulation.memory.postgres.server import TaskServer
from simulation.memory.postgres.sessions import Sessions
from simulation.memory.postgres.submissions import Submissions
from simulation.memory.postgres.tasks import StoredTasks
from simulation.memory.postgres.transaction import Transaction
from simulation.memory.postgres.work import Work


class MemoryTaskStore:
    """A TaskStore; see taskyard_core.storage.store. `application` names the process in what the observer is told."""

    def __init__(self, server: TaskServer, link: Link, application: str = "") -> None:
        self._client = client = Client(server, link, application)
        self.submissions = Submissions(client)
        self.changes = Changes(client)
        self.sessions = Sessions(client)
        self.tasks = StoredTasks(client)
        self.queued = QueuedTasks(client)
        self.queues = StoredQueues(client)
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
