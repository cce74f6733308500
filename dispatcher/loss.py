"""Giving up a session: whatever it ran is queued again, once."""

import logging
import random
from collections.abc import Callable
from functools import partial

from dispatcher.announcements import Announcements
from dispatcher.requeue import lane_entries
from scheduler.domain.task import TaskState
from scheduler.domain.transitions import Lost, Snapshot, decide
from scheduler.publication import Publication
from scheduler.storage.retrying import retried
from scheduler.storage.sessions import Held
from scheduler.storage.transaction import Transaction, Transactions
from scheduler.storage.unavailable import StoreUnavailable
from scheduler.telemetry import Ended, Runner, Telemetry

_log = logging.getLogger(__name__)


class Loss:
    """Ends sessions in the task store and requeues their RUNNING tasks in the same transaction."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        publication: Publication,
        announcements: Announcements,
        telemetry: Telemetry,
    ) -> None:
        self._transactions = transactions
        self._publication = publication
        self._announcements = announcements
        self._telemetry = telemetry

    async def possible(self) -> bool:
        """Whether the task store answers."""
        try:
            await self._transactions.ping()
        except StoreUnavailable:
            return False
        return True

    async def lose(self, session: str, generation: int, reason: str) -> bool:
        """Give the session up if that generation still lives; raises StoreUnavailable."""

        async def once() -> bool:
            async with self._transactions.transaction() as transaction:
                ended = await self.lose_within(transaction, session, generation, reason)
            for publish in ended or ():
                publish()
            return ended is not None

        return await retried(once)

    async def lose_within(
        self, transaction: Transaction, session: str, generation: int, reason: str
    ) -> list[Callable[[], None]] | None:
        """The same inside a caller's transaction; call what comes back once it has committed. None: it still lives."""
        if not await transaction.end_session(session, generation, reason):
            return None
        held = await transaction.held(session)
        transitions = [decide(_snapshot(task), Lost(), random.random) for task in held]
        applied = await transaction.apply(transitions)
        runner = Runner(session, "", "")
        ends = [
            Ended(transition, row.task.lane, runner, None, row.task.traceparent)
            for transition, row in zip(applied.moved, held, strict=True)
            if transition is not None
        ]
        _log.info("session given up", extra={"session": session, "reason": reason, "tasks": len(held)})
        return [partial(self.announce, applied.outbox_id, ends)]

    def announce(self, outbox_id: int | None, ends: list[Ended]) -> None:
        """Publish what a committed loss has queued again."""
        self._publication.publish_soon(outbox_id, lane_entries(ends))
        self._announcements.finished([e.transition.id for e in ends if e.transition.target.terminal])
        self._telemetry.ended(ends)


def _snapshot(held: Held) -> Snapshot:
    task = held.task
    return Snapshot(
        task.task_id,
        TaskState.RUNNING,
        task.attempt,
        task.failures,
        task.crashes,
        held.cancel_requested,
        session=task.session,
    )
