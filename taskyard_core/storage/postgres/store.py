"""Postgres as a task store: every noun over one pool of connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskyard_core.storage.postgres.changes import Changes
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.leader import LeaderFence
from taskyard_core.storage.postgres.queued import QueuedTasks
from taskyard_core.storage.postgres.queues import StoredQueues
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.storage.postgres.submissions import Submissions
from taskyard_core.storage.postgres.tasks import StoredTasks
from taskyard_core.storage.postgres.transaction import STATEMENTS, Transaction


class PostgresStore:
    """A TaskStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.submissions = Submissions(database)
        self.changes = Changes(database)
        self.sessions = Sessions(database)
        self.tasks = StoredTasks(database)
        self.queued = QueuedTasks(database)
        self.queues = StoredQueues(database)
        self.leader = LeaderFence(database)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block; raises StoreUnavailable."""
        async with self._database.transaction(*STATEMENTS) as connection:
            yield Transaction(connection)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Postgres answers and has the tables."""
        await self._database.ping()
