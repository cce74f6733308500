"""9 Times: nothing starts before it is due, or after it has expired, by the database's clock."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.record import History

NAME = "no-early-start"


def check(history: History) -> Iterator[Violation]:
    """Promotions and claims come at or after `due`; claims come before `expires`, expiries after it."""
    tolerance = history.facts.clock_tolerance
    for change in history.transitions:
        promoted = change.old == "SCHEDULED" and change.new == "QUEUED"
        claimed = change.old == "QUEUED" and change.new == "RUNNING"
        if (promoted or claimed) and change.at < change.due - tolerance:
            early = f"{change.due - change.at:.3f} s early"
            yield Violation(
                NAME, f"task {change.task} was {'promoted' if promoted else 'claimed'} {early}", change.task
            )
        if change.new == "EXPIRED" and (change.expires is None or change.at < change.expires - tolerance):
            yield Violation(NAME, f"task {change.task} was called EXPIRED before its time", change.task)
        # A claim's transaction looks at the clock once, and its rows may then wait for locks.
        if claimed and change.expires is not None and change.at > change.expires + tolerance + _LOCKED:
            late = f"{change.at - change.expires:.3f} s after it had expired"
            yield Violation(NAME, f"task {change.task} was claimed {late}", change.task)


_LOCKED = 10.0
"""Longest that a statement of the server may take."""
