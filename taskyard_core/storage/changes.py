"""Writing what was decided: every state change but the claim goes through here."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from taskyard_core.domain.task import Outcome
from taskyard_core.domain.transitions import Change, Transition


class Applied(NamedTuple):
    """What became of each transition, in their order, None where the task had moved on; and the outbox row of the tasks
    that are QUEUED now.
    """

    changes: list[Change | None]
    outbox_id: int | None

    @property
    def ids(self) -> set[str]:
        """The tasks that moved."""
        return {change.transition.id for change in self.changes if change is not None}


class Standing(NamedTuple):
    """How an attempt ended, and whose it was; both None where it never ended."""

    outcome: Outcome | None
    session: str | None


class Changes(Protocol):
    """Conditional transitions, in batches. Every method raises StoreUnavailable."""

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds, in a transaction of its own."""

    async def standings(self, attempts: Sequence[tuple[str, int]]) -> list[Standing]:
        """How each (task, attempt) ended, in their order."""

    async def request_cancel(self, ids: Sequence[str]) -> set[str]:
        """Mark running tasks; returns the ids of those that were running."""

    async def record_progress(self, said: Sequence[tuple[str, int, str]]) -> None:
        """Store (task, attempt, JSON progress) of attempts that still run."""
