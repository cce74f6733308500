"""Every change of a task's state: claims, and what was decided."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from taskyard_core.domain.task import AttemptKey, Outcome, TaskState
from taskyard_core.domain.transitions import RULES, Change, Rule, Transition
from taskyard_core.storage import codec
from taskyard_core.storage.changes import Applied, Standing, distinct
from taskyard_core.storage.claims import CLAIM_BYTES, Bid, Claimed, Head
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.retrying import retried


class Changes:
    """Claims and conditional transitions, in batches; see taskyard_core.storage.changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
        """The bids that won, of sessions whose generation still holds; raises StoreUnavailable."""
        return await self._database.run(lambda connection: _claim(connection, bids, generations))

    async def claim_heads(
        self,
        quotas: Mapping[str, int],
        generations: Mapping[str, int],
        assign: Callable[[Sequence[Head]], Sequence[Bid]],
    ) -> list[Claimed]:
        """Claim straight from the tables while the lanes are away: at most `quotas[lane]` of each lane."""

        async def once() -> list[Claimed]:
            async with self._database.transaction("lane_heads", "claim") as connection:
                found = await connection.fetch(load("lane_heads"), list(quotas), list(quotas.values()))
                heads = [Head(str(row[0]), row[1], row[2]) for row in found]
                return await _claim(connection, assign(heads), generations)

        return await retried(once)

    async def still_queued(self, entries: Sequence[AttemptKey]) -> set[str]:
        """Ids of the (task, attempt) entries that still wait to be run."""
        ids, attempts = [task for task, _ in entries], [attempt for _, attempt in entries]
        return {str(row[0]) for row in await self._database.fetch(load("still_queued"), ids, attempts)}

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds, in one statement; raises StoreUnavailable."""
        return await self._database.run(lambda connection: apply_within(connection, transitions))

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


async def _claim(connection: Connection, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
    if not bids:
        return []
    ids, attempts, sessions = zip(*bids, strict=True)
    used = list(dict.fromkeys(sessions))
    held = [generations[session] for session in used]
    found = await connection.fetch(load("claim"), ids, attempts, sessions, used, held, CLAIM_BYTES)
    return [Claimed(str(row[0]), row[1], str(row[2]), *row[3:]) for row in found]


async def apply_within(connection: Connection, transitions: Sequence[Transition]) -> Applied:
    """The same in the connection's transaction."""
    if not transitions:
        return Applied([], None)
    places = distinct(transitions)
    applied = transitions if len(places) == len(transitions) else [transitions[place] for place in places]
    found = await connection.fetch(
        load("apply"),
        "[" + ",".join(_WRITTEN[rule] for rule in {t.rule for t in applied}) + "]",
        [_NUMBERS[t.rule] for t in applied],
        [t.id for t in applied],
        [t.attempt for t in applied],
        [t.session for t in applied],
        [t.delay for t in applied],
        [t.result for t in applied],
        [codec.dump_error(t.error) for t in applied],
    )
    changes: list[Change | None] = [None] * len(transitions)
    for nth, source, target, lane, traceparent, _ in found:
        place = places[nth - 1]
        changes[place] = Change(transitions[place], TaskState(source), TaskState(target), lane, traceparent)
    return Applied(changes, found[0][5] if found else None)


def _written(number: int, rule: Rule) -> str:
    """The rule as apply.sql reads it."""
    columns = {"number": number, "ends": rule.target.terminal}
    return json.dumps(columns | {field.name: getattr(rule, field.name) for field in fields(rule)})


_NUMBERS = {rule: number for number, rule in enumerate(RULES)}
_WRITTEN = {rule: _written(number, rule) for rule, number in _NUMBERS.items()}
