"""Every change of a task's state: claims, and what was decided."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from taskyard_core.domain.task import AttemptKey, Outcome
from taskyard_core.domain.transitions import Change, Transition
from taskyard_core.storage.claims import Bid, Claimed, Head


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


class Standing(NamedTuple):
    """How an attempt ended, and whose it was; both None where it never ended."""

    outcome: Outcome | None
    session: str | None


class Changes(Protocol):
    """Claims and conditional transitions, in batches. Every method raises StoreUnavailable."""

    async def claim(self, bids: Sequence[Bid], generations: Mapping[str, int]) -> list[Claimed]:
        """The bids that won, of sessions whose generation still holds; by id, until they carry CLAIM_BYTES."""

    async def claim_heads(
        self,
        quotas: Mapping[str, int],
        generations: Mapping[str, int],
        assign: Callable[[Sequence[Head]], Sequence[Bid]],
    ) -> list[Claimed]:
        """Claim straight from the tables while the lanes are away: at most `quotas[lane]` of each lane.

        What others are claiming just now is left out.
        """

    async def still_queued(self, entries: Sequence[AttemptKey]) -> set[str]:
        """Ids of the (task, attempt) entries that still wait to be run."""

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
