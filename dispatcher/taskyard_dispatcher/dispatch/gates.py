"""What holds tasks back between the board and the plan: every task passes here, whichever store it is read from."""

from collections.abc import Sequence

from taskyard_dispatcher.sessions.state import Session

READ_SIZE = 500
"""Most tasks of one read; more are fetched by the next, while these are being claimed."""


def passing(sessions: Sequence[Session]) -> int:
    """How many tasks may be read for them now: as there are free slots, and as streams carry at their size."""
    return min(sum(session.free for session in sessions), READ_SIZE, sum(session.carries for session in sessions))
