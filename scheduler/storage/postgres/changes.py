"""Applying decisions: every state change but the claim goes through here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scheduler.domain.task import Outcome, TaskState
from scheduler.domain.transitions import Transition
from scheduler.storage.postgres import codec
from scheduler.storage.postgres.database import Connection, Database, retried
from scheduler.storage.postgres.queries import load


class Applied(NamedTuple):
    """What became of each transition, in their order: None where the task had moved on, else the transition as it took
    place, and the outbox row of the tasks that are QUEUED now.

    It takes place otherwise than decided where somebody asked for a cancel meanwhile: what would wait again ends.
    """

    moved: list[Transition | None]
    outbox_id: int | None

    @property
    def ids(self) -> set[str]:
        """The tasks that moved."""
        return {transition.id for transition in self.moved if transition is not None}


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
            return Applied([], None)
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
    # The first of two that a batch has for the same attempt counts.
    firsts = {(t.id, t.attempt, t.session): t for t in reversed(transitions)}
    decided = transitions if len(firsts) == len(transitions) else list(firsts.values())
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
    return Applied(list(_matched(transitions, states)), found[0][4] if found else None)


def _matched(
    transitions: Sequence[Transition], states: dict[tuple[str, int, str | None], TaskState]
) -> Iterator[Transition | None]:
    for transition in transitions:
        # Told once: a second transition of the same attempt in one batch has changed nothing.
        state = states.pop((transition.id, transition.attempt, transition.session), None)
        if state is None or state is transition.target:
            yield transition if state else None
        else:
            yield transition._replace(target=state)
