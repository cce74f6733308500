"""Moving tasks whose moment has come, a page at a time."""

import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from dispatcher.duties.fenced import Fenced
from dispatcher.leadership import Term
from scheduler.domain.task import TaskState
from scheduler.domain.transitions import Due, Expired, Transition, decide
from scheduler.storage.postgres.changes import Changes
from scheduler.storage.postgres.database import Connection
from scheduler.storage.postgres.waiting import Waiting
from scheduler.telemetry import Moved, Telemetry

PAGE = 1000
"""Tasks of one transaction."""
PAGES = 30
"""Most pages of one run."""

Lock = Callable[[Connection, int], Awaitable[list[Waiting]]]
"""Finds and holds up to so many tasks."""


class Passed(NamedTuple):
    """A committed page: what moved, the outbox row of what is QUEUED now, and whether there may be more."""

    tasks: list[Waiting]
    outbox_id: int | None
    full: bool


class Passage:
    """Decides and applies one event for pages of waiting tasks, under the leader's term."""

    def __init__(self, fenced: Fenced, changes: Changes, telemetry: Telemetry) -> None:
        self._fenced = fenced
        self._changes = changes
        self._telemetry = telemetry

    async def page(self, term: Term, lock: Lock, event: Due | Expired) -> Passed:
        """Move one page and tell of it once it is committed."""

        async def move(connection: Connection) -> Passed:
            waiting = await lock(connection, PAGE)
            applied = await self._changes.apply([_decided(task, event) for task in waiting], connection)
            moved = [task for task in waiting if task.snapshot.id in applied.ids]
            return Passed(moved, applied.outbox_id, len(waiting) == PAGE)

        passed = await self._fenced.write(term, move)
        self._tell(passed.tasks, event)
        return passed

    def _tell(self, tasks: list[Waiting], event: Due | Expired) -> None:
        by_change: dict[tuple[TaskState, TaskState], list[Moved]] = {}
        for task in tasks:
            transition = _decided(task, event)
            moved = Moved(transition.id, transition.attempt, task.lane, task.traceparent)
            by_change.setdefault((transition.source, transition.target), []).append(moved)
        for (source, target), told in by_change.items():
            self._telemetry.moved(source, target, told)


def _decided(task: Waiting, event: Due | Expired) -> Transition:
    return decide(task.snapshot, event, random.random)
