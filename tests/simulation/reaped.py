"""Nobody is given up by the leader while its dispatcher answers for it: looked at whenever it happens."""

from chaos.checks import Violation
from dispatcher.duties.reaping import REASON
from scheduler.storage.memory.postgres.server import Change
from scheduler.storage.memory.postgres.tables import DispatcherRow, SessionRow
from tests.simulation.cluster import DISPATCHER

_UNDERWAY = 1.0
"""Seconds from the leader's last look to its commit, at most: a dispatcher that came back within them came too late."""


class Reaped:
    """What was done to sessions that must not be."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._answers: dict[str, tuple[float, float]] = {}
        """Since when each dispatcher has answered without a gap, and when it last did."""

    def __call__(self, change: Change) -> None:
        """See scheduler.storage.memory.postgres.server.Observer."""
        if type(change.old or change.new) is DispatcherRow:
            self._note(change)
        elif type(change.new) is SessionRow and not change.new.live and change.new.end_reason == REASON:
            self._judge(change, change.new)

    def _note(self, change: Change) -> None:
        if change.new is None:
            self._answers.pop(change.old.note.id, None)
            return
        since, last = self._answers.get(change.new.note.id, (change.at, change.at))
        gap = change.at - last >= DISPATCHER.session_timeout
        self._answers[change.new.note.id] = (change.at if gap else since, change.at)

    def _judge(self, change: Change, row: SessionRow) -> None:
        since, last = self._answers.get(row.record.dispatcher, (change.at, change.at))
        if change.at - since > _UNDERWAY and change.at - last < DISPATCHER.session_timeout:
            ago = f"{change.at - last:.1f} s ago"
            told = f"{row.id} was given up although {row.record.dispatcher} answered for it {ago}"
            self.violations.append(Violation("vouched", told))
