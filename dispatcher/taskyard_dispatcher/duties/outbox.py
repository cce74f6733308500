"""Publishes what its submitter could not: outbox rows that were left behind."""

import logging
from collections.abc import Sequence

from taskyard_core.storage.lanes import LaneStore
from taskyard_core.storage.queued import QueuedTasks
from taskyard_dispatcher.duties.fenced import Fenced
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

_log = logging.getLogger(__name__)

PAGE = 100
"""Rows read at once; each names up to about a thousand tasks."""
PAGES = 20
"""Most pages of one run."""


class OutboxDuty:
    """Rows go only after their entries are in the lanes; while Redis is away they wait."""

    name = "outbox"
    interval = 1.0

    def __init__(
        self, fenced: Fenced, queued: QueuedTasks, lanes: LaneStore, timing: DutyTiming = DutyTiming()
    ) -> None:
        self._fenced = fenced
        self._queued = queued
        self._lanes = lanes
        self._age = timing.outbox_age

    async def run_once(self, term: Term) -> None:
        """See Duty."""
        for _ in range(PAGES):
            ids, entries = await self._queued.unpublished(self._age, PAGE)
            if not ids:
                return
            await self._fenced.check(term)
            term.require()
            await self._lanes.publish(entries)
            await self._forget(term, ids)
            _log.info("published what was left in the outbox", extra={"rows": len(ids)})
            if len(ids) < PAGE:
                return

    async def _forget(self, term: Term, ids: Sequence[int]) -> None:
        await self._fenced.write(term, lambda transaction: transaction.forget_outbox(ids))
