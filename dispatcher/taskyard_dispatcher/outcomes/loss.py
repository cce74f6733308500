"""Giving up a session: whatever it ran is queued again, once."""

import logging
import random
from collections.abc import Callable
from functools import partial

from taskyard_core.domain import limits
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Lost, Snapshot, decide
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.sessions import Held
from taskyard_core.storage.transaction import Transaction, Transactions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry import Ended, Runner
from taskyard_dispatcher.outcomes.endings import Endings

_log = logging.getLogger(__name__)


class Loss:
    """Ends sessions in the task store and requeues their RUNNING tasks in the same transaction."""

    def __init__(
        self, transactions: Transactions, endings: Endings, crashes_allowed: int = limits.CRASHES_ALLOWED
    ) -> None:
        self._lost = Lost(crashes_allowed)
        self._transactions = transactions
        self._endings = endings

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
        host = await transaction.end_session(session, generation, reason)
        if host is None:
            return None
        held = await transaction.held(session)
        runner = Runner(public_name(session), host.worker, host.pod)
        endings = [_ending(row, runner, self._lost) for row in held]
        applied = await transaction.apply([ending.transition for ending in endings])
        whose = {"session": runner.session, "worker": host.worker, "worker_pod": host.pod}
        _log.info("session given up", extra={**whose, "reason": reason, "tasks": len(held)})
        return [partial(self._endings.committed, endings, applied)]


def _ending(held: Held, runner: Runner, lost: Lost) -> Ended:
    task = held.task
    snapshot = Snapshot(
        task.task_id,
        TaskState.RUNNING,
        task.attempt,
        task.failures,
        task.crashes,
        held.cancel_requested,
        session=task.session,
    )
    return Ended(decide(snapshot, lost, random.random), task.lane, runner, None, task.traceparent)
