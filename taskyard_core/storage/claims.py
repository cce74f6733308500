"""Claiming: the only way from QUEUED to RUNNING, and the only place where `attempt` rises."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from taskyard_core.domain.task import AttemptKey

CLAIM_BYTES = 4 * 1024 * 1024
"""Payloads of one claim: no more is claimed once they have come to this."""


class Bid(NamedTuple):
    """A lane entry meant for a session."""

    task_id: str
    attempt: int
    session: str


class Head(NamedTuple):
    """A waiting task found in the task store itself."""

    task_id: str
    attempt: int
    lane: str


class Claimed(NamedTuple):
    """A task that is RUNNING now, with its new attempt. `waited` is seconds since it could run.

    `payload` is None where the row's is longer than a payload may be. Other values, too, can be what no API would take.
    """

    task_id: str
    attempt: int
    session: str
    lane: str
    payload: bytes | None
    timeout: float | None
    failures: int
    crashes: int
    retry: str | None
    traceparent: str | None
    waited: float


class Claims(Protocol):
    """Claims batches for worker sessions. Every method raises StoreUnavailable."""

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
