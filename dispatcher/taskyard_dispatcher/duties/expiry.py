"""Ends tasks that did not start before their expires_at."""

from collections.abc import Callable, Sequence

from taskyard_core.domain.transitions import Expired
from taskyard_core.storage.tasks import Decidable
from taskyard_core.storage.transaction import Transaction
from taskyard_core.storage.waiting import WaitingTasks
from taskyard_dispatcher.duties.passage import PAGES, Passage
from taskyard_dispatcher.leadership import Term

Announce = Callable[[Sequence[str]], None]
"""Tells whoever waits for these tasks that they are finished, without waiting for that."""


class Expiry:
    """SCHEDULED, BLOCKED or QUEUED to EXPIRED; what the lanes still hold of them dies at its claim."""

    name = "expiry"
    interval = 1.0

    def __init__(self, passage: Passage, waiting: WaitingTasks, announce: Announce) -> None:
        self._passage = passage
        self._waiting = waiting
        self._announce = announce

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        if not await self._waiting.any_expired():
            return
        for _ in range(PAGES):
            term.require()
            passed = await self._passage.page(term, _lock, Expired())
            self._announce([task.snapshot.id for task in passed.tasks])
            if not passed.full:
                return


async def _lock(transaction: Transaction, limit: int) -> list[Decidable]:
    return await transaction.lock_expired(limit)
