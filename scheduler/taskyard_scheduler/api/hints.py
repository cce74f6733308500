"""What the API asks of the hints between processes. They save time and may be lost."""

from collections.abc import Sequence
from typing import Protocol


class Hints(Protocol):
    """Where hints go; raises StoreUnavailable while they cannot be sent."""

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        """The tasks have ended: who waits for them may look."""

    async def cancel_requested(self, ids: Sequence[str]) -> None:
        """The running tasks shall stop: their dispatchers may look."""
