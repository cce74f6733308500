"""The lanes' epoch: whether their store still is, and holds, what the leader filled."""

from typing import Protocol


class LaneEpoch(Protocol):
    """A word that changes whenever entries may have been lost: by a wipe, a restart or a failover.

    Every method raises StoreUnavailable while the lanes are away.
    """

    async def current(self) -> str | None:
        """The epoch now; None when none has begun since the last wipe."""

    async def begin(self, term: int, *, regardless: bool = False) -> str:
        """Begins a new epoch as the leader of `term` and returns it.

        Raises TermOver when a leader of a higher term has begun one; `regardless` of that where the task store, which
        decides, knows of none.
        """
