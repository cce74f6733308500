"""Queues tasks whose run_at has come."""

from collections import defaultdict

from dispatcher.duties.passage import PAGES, Passage, Passed
from dispatcher.leadership import Term
from scheduler.domain.transitions import Due
from scheduler.publication import Publication
from scheduler.storage.tasks import Decidable
from scheduler.storage.transaction import Transaction
from scheduler.storage.waiting import WaitingTasks


class Promotion:
    """SCHEDULED to QUEUED, longest due first."""

    name = "promotion"
    interval = 0.2

    def __init__(self, passage: Passage, waiting: WaitingTasks, publication: Publication) -> None:
        self._passage = passage
        self._waiting = waiting
        self._publication = publication

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        # A look costs nothing where nothing is due; a transaction that locks the leader's row would be a write.
        if not await self._waiting.any_due():
            return
        for _ in range(PAGES):
            term.require()
            passed = await self._passage.page(term, _lock, Due())
            self._publish(passed)
            if not passed.full:
                return

    def _publish(self, passed: Passed) -> None:
        entries: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for task in passed.tasks:
            entries[task.lane].append((task.snapshot.id, task.snapshot.attempt))
        self._publication.publish_soon(passed.outbox_id, entries)


async def _lock(transaction: Transaction, limit: int) -> list[Decidable]:
    return await transaction.lock_due(limit)
