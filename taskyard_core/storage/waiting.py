"""Tasks that wait for a moment: until they may run, or until they may run no more."""

from typing import Protocol


class WaitingTasks(Protocol):
    """All tasks by run_at and expires_at, on the store's clock. Every method raises StoreUnavailable."""

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""
