"""Queues tasks whose run_at has come."""

from collections import defaultdict

from taskyard_core.aftermath.publication import Publication
from taskyard_core.domain.transitions import Due
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_core.storage.waiting import WaitingTasks
from taskyard_dispatcher.duties.passage import PAGES, Passage, Passed
from taskyard_dispatcher.leadership import Term


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
