"""Reading tasks."""

from collections.abc import Sequence

import asyncpg

from taskyard_core.domain import limits
from taskyard_core.domain.task import Attempt, Task, TaskState
from taskyard_core.storage.postgres import rows
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.tasks import (
    INDEXED_STATES,
    PAGE_BYTES,
    Decidable,
    EndedPage,
    Keeping,
    TaskFilter,
    within_weight,
)

_PAGE = ("count_in_state", "list_few", "list_tasks", "scan_end", "get_tasks")


class StoredTasks:
    """The task table; see taskyard_core.storage.tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, task_id: str) -> Task | None:
        """The task, or None if there is none."""
        found = await self._database.fetch(load("get_tasks"), [task_id])
        return rows.task(found[0]) if found else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, Task]:
        """Those of the tasks that exist, by id."""
        found = await self._database.fetch(load("get_tasks"), ids)
        return {task.id: task for task in map(rows.task, found)}

    async def decidable(self, task_id: str) -> Decidable | None:
        """What a decision about the task looks at, or None if there is none."""
        found = await self._database.fetch(load("task_snapshot"), task_id)
        return rows.decidable(found[0]) if found else None

    async def states(self, ids: Sequence[str]) -> dict[str, TaskState]:
        """States of those of the tasks that exist, by id."""
        found = await self._database.fetch(load("task_states"), ids)
        return {str(row[0]): TaskState(row[1]) for row in found}

    async def weights(self, ids: Sequence[str]) -> dict[str, int]:
        """About how many bytes those of the tasks that exist take in an answer, by id."""
        return {str(row[0]): row[1] for row in await self._database.fetch(load("task_weights"), ids)}

    async def page(self, wanted: TaskFilter, size: int, after: str | None) -> tuple[list[Task], str | None]:
        """Up to `size` tasks that fit, newest first, from the one after `after` on; and where the next page goes on.

        That is None after the last page. See taskyard_core.storage.tasks.
        """
        async with self._database.transaction(*_PAGE) as connection:
            await plan_for_values(connection)
            listed, end = await _list(connection, wanted, size, after)
            ids = within_weight([(row[0], row[1]) for row in listed[:size]])
            found = await connection.fetch(load("get_tasks"), ids) if ids else []
        tasks = sorted(map(rows.task, found), key=lambda task: task.id, reverse=True)
        return tasks, str(ids[-1]) if len(ids) < len(listed) else end

    async def attempts(self, task_id: str, size: int, after: int = 0) -> tuple[list[Attempt], int | None]:
        """Up to `size` of the task's runs, oldest first, after that attempt; the last one, or None on the last page.

        Empty also where there is no such task. Fewer where errors are large.
        """
        found = await self._database.fetch(load("task_attempts"), task_id, after, size, PAGE_BYTES)
        more = bool(found) and found[0]["found"] > len(found)
        return list(map(rows.attempt, found)), found[-1]["attempt"] if more else None

    async def find_failed(self, wanted: TaskFilter, limit: int) -> list[str]:
        """Ids of FAILED tasks that fit, oldest first."""
        async with self._database.transaction("find_failed") as connection:
            await plan_for_values(connection)
            found = await connection.fetch(load("find_failed"), *failed(wanted), limit)
        return [str(row[0]) for row in found]

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""
        return bool((await self._database.fetch(load("due_exists")))[0][0])

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""
        return bool((await self._database.fetch(load("expired_exists")))[0][0])

    async def ended(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two, and which of these tasks need not be kept."""
        arguments = (after, before, limit, keeping.ended, keeping.failed)
        row = (await self._database.fetch(load("ended_page"), *arguments))[0]
        return EndedPage(row["size"], str(row["last"]) if row["last"] else None, list(map(str, row["ended"])))


async def _list(
    connection: Connection, wanted: TaskFilter, size: int, after: str | None
) -> tuple[list[asyncpg.Record], str | None]:
    """Ids and weights of a page and one more if there is one; where the search goes on if it did not see the end."""
    arguments = (wanted.namespace, wanted.queue, wanted.type, wanted.state, wanted.error_type, after, size + 1)
    most = limits.PAGE_SCAN
    if wanted.state in INDEXED_STATES:
        (row,) = await connection.fetch(load("count_in_state"), wanted.state, most)
        if row[0] < most:
            return await connection.fetch(load("list_few"), *arguments), None
    listed = await connection.fetch(load("list_tasks"), *arguments, most)
    end = await connection.fetch(load("scan_end"), after, most) if len(listed) <= size else []
    return listed, str(end[0][0]) if end else None


def failed(wanted: TaskFilter) -> tuple[str | None, ...]:
    """What find_failed.sql and lock_failed.sql ask for."""
    return wanted.namespace, wanted.queue, wanted.type, wanted.error_type


async def plan_for_values(connection: Connection) -> None:
    """See plan_for_values.sql."""
    await connection.execute(load("plan_for_values"))
