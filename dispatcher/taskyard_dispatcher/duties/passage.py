"""Moving tasks whose moment has come, a page at a time."""

import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Due, Expired, Transition, decide
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_core.telemetry import Moved, Telemetry
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

PAGES = 30
"""Most pages of one run."""

Lock = Callable[[Transaction, int], Awaitable[list[Decidable]]]
"""Finds and holds up to so many tasks."""


class Passed(NamedTuple):
    """A committed page: what moved, the outbox row of what is QUEUED now, and whether there may be more."""

    tasks: list[Decidable]
    outbox_id: int | None
    full: bool


class Passage:
    """Decides and applies one event for pages of waiting tasks, under the leader's term."""

    def __init__(self, fenced: Fenced, telemetry: Telemetry, page: int = DutyTiming.page) -> None:
        """`page` is how many tasks one transaction moves."""
        self._fenced = fenced
        self._telemetry = telemetry
        self._page = page

    async def page(self, term: Term, lock: Lock, event: Due | Expired) -> Passed:
        """Move one page and tell of it once it is committed."""

        async def move(transaction: Transaction) -> Passed:
            waiting = await lock(transaction, self._page)
            applied = await transaction.apply([_decided(task, event) for task in waiting])
            moved = [task for task in waiting if task.snapshot.id in applied.ids]
            return Passed(moved, applied.outbox_id, len(waiting) == self._page)

        passed = await self._fenced.write(term, move)
        self._tell(passed.tasks, event)
        return passed

    def _tell(self, tasks: list[Decidable], event: Due | Expired) -> None:
        by_change: dict[tuple[TaskState, TaskState], list[Moved]] = {}
        for task in tasks:
            transition = _decided(task, event)
            moved = Moved(transition.id, transition.attempt, task.lane, task.traceparent)
            by_change.setdefault((transition.source, transition.target), []).append(moved)
        for (source, target), told in by_change.items():
            self._telemetry.moved(source, target, told)


def _decided(task: Decidable, event: Due | Expired) -> Transition:
    return decide(task.snapshot, event, random.random)
