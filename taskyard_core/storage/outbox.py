"""What must still reach the lanes."""

from collections.abc import Sequence
from typing import Protocol

from taskyard_core.storage.lanes import Entries


class Outbox(Protocol):
    """Rows that name QUEUED tasks; written with them, deleted once their lanes have them.

    Every method raises StoreUnavailable.
    """

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that are published."""

    async def stale(self, age: float, limit: int) -> tuple[list[int], Entries]:
        """Rows older than `age` seconds, and what they stand for."""

    async def backlog(self) -> tuple[int, float]:
        """Rows that wait, and the age of the oldest in seconds."""
