"""What is over: ended tasks and sessions, which are kept for a while."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many seconds after their end tasks are kept: FAILED ones, and all others."""

    ended: float
    failed: float


class EndedPage(NamedTuple):
    """A page of all tasks by id: how many ids it has, the last one, and those that need not be kept."""

    size: int
    last: str | None
    ended: list[str]


class History(Protocol):
    """Finds what need not be kept."""

    async def page(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two; raises StoreUnavailable."""
