"""Applying decisions: every state change but the claim goes through here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from taskyard_core.domain.task import AttemptKey, Outcome, TaskState
from taskyard_core.domain.transitions import Transition


class Applied(NamedTuple):
    """What became of each transition, in their order: None where the task had moved on, else the transition as it took
    place, and the outbox row of the tasks that are QUEUED now.

    It takes place otherwise than decided where somebody asked for a cancel meanwhile: what would wait again ends.
    """

    moved: list[Transition | None]
    outbox_id: int | None

    @property
    def ids(self) -> set[str]:
        """The tasks that moved."""
        return {transition.id for transition in self.moved if transition is not None}


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


Moved = dict[tuple[str, int, str | None], TaskState]
"""State in which a task ended up, by task, attempt and the session that a transition named."""


def distinct(transitions: Sequence[Transition]) -> Sequence[Transition]:
    """One transition of each attempt: the first of two that a batch has for the same one counts."""
    firsts = {(t.id, t.attempt, t.session): t for t in reversed(transitions)}
    return transitions if len(firsts) == len(transitions) else list(firsts.values())


def matched(transitions: Sequence[Transition], states: Moved) -> Iterator[Transition | None]:
    """What became of each transition; uses `states` up."""
    for transition in transitions:
        # Told once: a second transition of the same attempt in one batch has changed nothing.
        state = states.pop((transition.id, transition.attempt, transition.session), None)
        if state is None or state is transition.target:
            yield transition if state else None
        else:
            yield transition._replace(target=state)
