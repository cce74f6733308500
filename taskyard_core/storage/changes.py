"""Writing what was decided: every state change but the claim goes through here."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from taskyard_core.domain.task import AttemptKey, Outcome
from taskyard_core.domain.transitions import Change, Transition


class Applied(NamedTuple):
    """What became of each transition, in their order, None where the task had moved on; and the outbox row of the tasks
    that are QUEUED now.
    """

    changes: list[Change | None]
    outbox_id: int | None

    @property
    def moved(self) -> list[Change]:
        """What took place."""
        return [change for change in self.changes if change is not None]

    @property
    def ids(self) -> set[str]:
        """The tasks that moved."""
        return {change.transition.id for change in self.moved}


class Standing(NamedTuple):
    """How an attempt ended, and whose it was; both None where it never ended."""

    outcome: Outcome | None
    session: str | None


class Changes(Protocol):
    """Conditional transitions, in batches. Every method raises StoreUnavailable."""

    async def apply(self, transitions: Sequence[Transition]) -> Applied:
        """Apply what still holds, in a transaction of its own."""

    async def standings(self, attempts: Sequence[AttemptKey]) -> list[Standing]:
        """How each (task, attempt) ended, in their order."""

    async def request_cancel(self, ids: Sequence[str]) -> set[str]:
        """Mark running tasks; returns the ids of those that were running."""

    async def record_progress(self, said: Sequence[tuple[str, int, str]]) -> None:
        """Store (task, attempt, JSON progress) of attempts that still run."""


def distinct(transitions: Sequence[Transition]) -> Sequence[int]:
    """The places of one transition of each attempt: the first of two that a batch has for the same one counts."""
    if len({transition.id for transition in transitions}) == len(transitions):
        return range(len(transitions))
    firsts: dict[tuple[str, int, str | None], int] = {}
    for place, transition in enumerate(transitions):
        firsts.setdefault((transition.id, transition.attempt, transition.session), place)
    return list(firsts.values())
