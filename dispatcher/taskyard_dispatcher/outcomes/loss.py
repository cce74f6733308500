"""Giving up a session: whatever it ran is queued again, once."""

import logging
import random
from collections.abc import Callable

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain import limits
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Lost, Runner, Snapshot, Transition, decide
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.sessions import Held
from taskyard_core.storage.transaction import Transaction, Transactions
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class Loss:
    """Ends sessions in the task store and requeues their RUNNING tasks in the same transaction."""

    def __init__(
        self,
        transactions: Transactions,
        aftermath: Aftermath,
        crashes_allowed: int = limits.CRASHES_ALLOWED,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._event = Lost(crashes_allowed)
        self._transactions = transactions
        self._aftermath = aftermath
        self._draw = draw

    async def possible(self) -> bool:
        """Whether the task store answers."""
        try:
            await self._transactions.ping()
        except StoreUnavailable:
            return False
        return True

    async def lose(self, session: str, generation: int, reason: str) -> bool:
        """Give the session up if that generation still lives; raises StoreUnavailable."""

        async def once() -> Applied | None:
            async with self._transactions.transaction() as transaction:
                return await self.lose_within(transaction, session, generation, reason)

        applied = await retried(once)
        if applied is not None:
            self._aftermath.committed(applied)
        return applied is not None

    async def lose_within(self, transaction: Transaction, session: str, generation: int, reason: str) -> Applied | None:
        """The same inside a caller's transaction, without its aftermath. None: it still lives."""
        host = await transaction.end_session(session, generation, reason)
        if host is None:
            return None
        held = await transaction.held(session)
        runner = Runner(public_name(session), host.worker, host.pod)
        applied = await transaction.apply([self._lost(row, runner) for row in held])
        whose = {"session": runner.session, "worker": host.worker, "worker_pod": host.pod}
        _log.info("session given up", extra={**whose, "reason": reason, "tasks": len(held)})
        return applied

    def _lost(self, held: Held, runner: Runner) -> Transition:
        task = held.task
        counts = (task.attempt, task.failures, task.crashes)
        snapshot = Snapshot(task.task_id, TaskState.RUNNING, *counts, held.cancel_requested, session=task.session)
        return decide(snapshot, self._event, self._draw)._replace(runner=runner)
