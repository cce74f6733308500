"""Every task store, with what a test must do behind its back."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from simulation.memory.link import Direct
from simulation.memory.postgres import Change, MemoryTaskStore, TaskServer
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.store import TaskStore

Answer = TypeVar("Answer")


class Yard(Protocol):
    """A task store that holds nothing yet."""

    @property
    def store(self) -> TaskStore:
        """The store as one process reaches it."""

    async def expire(self, task: str) -> None:
        """Have the task's expires_at come."""

    async def poison(self, task: str, **columns: object) -> None:
        """Write what no API would have taken into the task's row, as its owner can by SQL. Times are seconds."""

    async def waiters(self) -> int:
        """How many statements wait for what an open transaction holds."""


class PostgresYard:
    """A migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.store: TaskStore = PostgresStore(database)

    async def expire(self, task: str) -> None:
        await self._database.fetch("UPDATE taskyard.task SET expires_at = now() WHERE id = $1", task)

    async def poison(self, task: str, **columns: object) -> None:
        for column in ("timeout", "run_at", "expires_at"):
            await self._database.fetch(f"ALTER TABLE taskyard.task DROP CONSTRAINT IF EXISTS task_{column}_range")
        names = ["timeout_seconds" if name == "timeout" else name for name in columns]
        given = [name + (" = to_timestamp($%d)" if name.endswith("_at") else " = $%d") for name in names]
        if given:
            change = ", ".join(given) % tuple(range(2, len(given) + 2))
            await self._database.fetch(f"UPDATE taskyard.task SET {change} WHERE id = $1", task, *columns.values())

    async def waiters(self) -> int:
        return len(await self._database.fetch("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted"))


class MemoryYard:
    """A server in memory, whose observer keeps all it is told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.server = TaskServer(time.time, self.changes.append)
        self.store: TaskStore = MemoryTaskStore(self.server, Direct())

    async def expire(self, task: str) -> None:
        tasks = self.server.tables.tasks
        tasks.put(task, tasks.rows[task]._replace(expires_at=time.time()))

    async def poison(self, task: str, **columns: object) -> None:
        tasks = self.server.tables.tasks
        tasks.put(task, tasks.rows[task]._replace(**columns))  # type: ignore[arg-type]

    async def waiters(self) -> int:
        return self.server.awaited()


async def waiting(yard: Yard, call: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
    """The call once it waits for what an open transaction holds."""
    before = await yard.waiters()
    task = asyncio.create_task(call)
    # Whoever fails before they await it need not hear of it.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    while await yard.waiters() == before:
        assert not task.done(), "it has waited for nothing"
        await asyncio.sleep(0)
    return task


def moved(applied: Applied) -> set[str]:
    """The tasks that moved."""
    return {change.transition.id for change in applied.moved}
