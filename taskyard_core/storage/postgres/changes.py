"""Applying decisions: every state change but the claim goes through here."""

from collections.abc import Sequence

from taskyard_core.domain.task import AttemptKey, Outcome, TaskState
from taskyard_core.domain.transitions import Transition
from taskyard_core.storage import codec
from taskyard_core.storage.changes import Applied, Standing, distinct, matched
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.retrying import retried


class Changes:
    """Conditional transitions, in batches; see taskyard_core.storage.changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds, in one statement; raises StoreUnavailable."""

        async def once() -> Applied:
            async with self._database.connection() as connection:
                return await apply_within(connection, transitions)

        return await retried(once)

    async def standings(self, attempts: Sequence[AttemptKey]) -> list[Standing]:
        """How each (task, attempt) ended, in their order."""
        ids, numbers = [task for task, _ in attempts], [number for _, number in attempts]
        found = await self._database.fetch(load("attempt_standing"), ids, numbers)
        by_attempt = {(str(row[0]), row[1]): row for row in found}
        rows = [by_attempt[attempt] for attempt in attempts]
        return [Standing(Outcome(r[2]), str(r[3])) if r[2] else Standing(None, None) for r in rows]

    async def request_cancel(self, ids: Sequence[str]) -> set[str]:
        """Mark running tasks; returns the ids of those that were running."""
        return {str(row[0]) for row in await self._database.fetch(load("request_cancel"), ids)}

    async def record_progress(self, said: Sequence[tuple[str, int, str]]) -> None:
        """Store (task, attempt, JSON progress) of attempts that still run."""
        ids, attempts, progress = zip(*said, strict=True)
        await self._database.fetch(load("record_progress"), ids, attempts, progress)


async def apply_within(connection: Connection, transitions: Sequence[Transition]) -> Applied:
    """The same in the connection's transaction."""
    if not transitions:
        return Applied([], None)
    decided = distinct(transitions)
    found = await connection.fetch(
        load("apply"),
        [t.id for t in decided],
        [t.source for t in decided],
        [t.attempt for t in decided],
        [t.session for t in decided],
        [t.target for t in decided],
        [t.failures for t in decided],
        [t.crashes for t in decided],
        [t.delay for t in decided],
        [t.result for t in decided],
        [codec.dump_error(t.error) for t in decided],
        [t.outcome for t in decided],
    )
    states = {(str(row[0]), row[1], row[2] and str(row[2])): TaskState(row[3]) for row in found}
    return Applied(list(matched(transitions, states)), found[0][4] if found else None)
