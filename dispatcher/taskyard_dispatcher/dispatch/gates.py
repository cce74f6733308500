"""What holds tasks back between the board and the plan: every task passes here, whichever store it is read from."""

from taskyard_dispatcher.dispatch.board import Group

READ_SIZE = 500
"""Most tasks of one read; more are fetched by the next, while these are being claimed."""


def passing(group: Group) -> int:
    """How many tasks may be read for the group now: as there are free slots, and as streams carry at their size."""
    return min(group.free, READ_SIZE, sum(session.carries for session in group.sessions))
