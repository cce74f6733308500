"""Nobody is given up while its dispatcher answers for it, holds it, or has just sent it on: looked at as it happens."""

from typing import Protocol

from chaos.checks import Violation
from simulation.chance import EPOCH
from simulation.cluster import DISPATCHER
from simulation.memory.postgres.server import Change
from simulation.memory.postgres.tables import DispatcherRow, SessionRow
from taskyard_dispatcher.duties import reaping
from taskyard_dispatcher.gateway import grace
from taskyard_dispatcher.membership import vouching

_UNDERWAY = 1.0
"""Seconds from the leader's last look to its commit, at most: a dispatcher that came back within them came too late."""


class Witness(Protocol):
    """Who knows what no store does."""

    def holds(self, dispatcher: str, session: str, generation: int) -> bool:
        """Whether that dispatcher, if it runs, holds that session in that generation, be it in its grace."""

    def sent_on(self, session: str, generation: int) -> float | None:
        """When its worker, if it runs, left in that generation because it was told to."""


class Reaped:
    """What was done to sessions that must not be."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.witness: Witness | None = None
        self._answers: dict[str, tuple[float, float]] = {}
        """Since when each dispatcher has answered without a gap, and when it last did."""

    def __call__(self, change: Change) -> None:
        """See simulation.memory.postgres.server.Observer."""
        if type(change.old or change.new) is DispatcherRow:
            self._note(change)
        elif type(change.new) is SessionRow and not change.new.live:
            self._judge(change, change.new)

    def _note(self, change: Change) -> None:
        if change.new is None:
            self._answers.pop(change.old.note.id, None)
            return
        since, last = self._answers.get(change.new.note.id, (change.at, change.at))
        gap = change.at - last >= DISPATCHER.session_timeout
        self._answers[change.new.note.id] = (change.at if gap else since, change.at)

    def _judge(self, change: Change, row: SessionRow) -> None:
        assert self.witness is not None
        dispatcher = row.record.dispatcher
        match row.end_reason:
            case reaping.REASON:
                since, last = self._answers.get(dispatcher, (change.at, change.at))
                if change.at - since > _UNDERWAY and change.at - last < DISPATCHER.session_timeout:
                    self._complain(row, f"although {dispatcher} answered for it {change.at - last:.1f} s ago")
            case vouching.REASON if self.witness.holds(dispatcher, row.id, row.generation):
                self._complain(row, f"as if {dispatcher} did not hold it, which does")
            case grace.BROKEN:
                left = self.witness.sent_on(row.id, row.generation)
                if left is not None and (after := change.at - EPOCH - left) < DISPATCHER.session_timeout:
                    self._complain(row, f"{after:.1f} s after {dispatcher} had sent it on")

    def _complain(self, row: SessionRow, why: str) -> None:
        self.violations.append(Violation("vouched", f"{row.id} was given up {why}"))
