"""From claimed tasks to their workers: each is sent and held, or ends at once because nobody could run it."""

import logging
from collections.abc import Sequence

from taskyard_core.domain.task import TaskError
from taskyard_core.domain.transitions import Failed
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.background import Background
from taskyard_core.wire.gen.worker_service_pb2 import Assignment
from taskyard_dispatcher.outcomes.completion import Completion
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)


class Handover:
    """Hands tasks over, one by one: what is wrong with one of them is not its neighbours' matter."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        self._background = Background()

    def give(self, session: Session, tasks: Sequence[Running], *, resent: bool = False) -> None:
        """Hold and send the tasks. One that cannot be sent is not held: nobody would run it, and its slot be lost."""
        sent: list[Running] = []
        messages: list[Assignment] = []
        for held in tasks:
            try:
                messages.append(frames.assignment(held.task, resent=resent))
            except Violation as violation:
                self._refuse(session, held, violation)
            else:
                sent.append(held)
        session.assign(sent, messages)

    async def close(self) -> None:
        """Wait until what could not be sent has ended."""
        await self._background.close()

    def _refuse(self, session: Session, held: Running, violation: Violation) -> None:
        # Should this process end first, whoever reads the session's rows next comes to the same end.
        _log.warning(
            "a task cannot be run: %s", violation, extra={"task": held.task.task_id, "session": session.runner.session}
        )
        error = TaskError("INVALID_TASK", str(violation), retryable=False)
        # Its row says that the session runs it until its end is stored: so long it takes a slot.
        session.reserve()
        self._background.start(self._end(session, held, Failed(error)))

    async def _end(self, session: Session, held: Running, event: Failed) -> None:
        try:
            await self._completion.end(session, held, event)
        finally:
            session.release()
