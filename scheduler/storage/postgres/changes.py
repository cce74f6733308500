"""Applying decisions: every state change but the claim goes through here."""

from collections.abc import Sequence
from typing import NamedTuple

from scheduler.domain.task import Outcome
from scheduler.domain.transitions import Transition
from scheduler.storage.postgres import codec
from scheduler.storage.postgres.database import Connection, Database, retried
from scheduler.storage.postgres.queries import load


class Applied(NamedTuple):
    """Ids of the tasks that moved, and the outbox row of those that are QUEUED now."""

    ids: set[str]
    outbox_id: int | None


class Standing(NamedTuple):
    """How an attempt ended, and whose it was; both None where it never ended."""

    outcome: Outcome | None
    session: str | None


class Changes:
    """Conditional transitions, in batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, transitions: Sequence[Transition], connection: Connection | None = None) -> Applied:
        """Apply what still holds, in one statement; raises StoreUnavailable.

        With a connection it is part of that transaction, else a transaction of its own.
        """
        if not transitions:
            return Applied(set(), None)
        if connection is not None:
            return await _apply(connection, transitions)

        async def once() -> Applied:
            async with self._database.connection() as own:
                return await _apply(own, transitions)

        return await retried(once)

    async def standings(self, attempts: Sequence[tuple[str, int]]) -> list[Standing]:
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


async def _apply(connection: Connection, transitions: Sequence[Transition]) -> Applied:
    found = await connection.fetch(
        load("apply"),
        [t.id for t in transitions],
        [t.source for t in transitions],
        [t.attempt for t in transitions],
        [t.session for t in transitions],
        [t.target for t in transitions],
        [t.failures for t in transitions],
        [t.crashes for t in transitions],
        [t.delay for t in transitions],
        [t.result for t in transitions],
        [codec.dump_error(t.error) for t in transitions],
        [t.outcome for t in transitions],
    )
    return Applied({str(row[0]) for row in found}, found[0][1] if found else None)
