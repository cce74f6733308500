"""11 Terms never go back, and nothing that only a leader does is committed under an old one."""

from collections.abc import Iterator

from chaos.checks.timeline import timeline
from chaos.checks.violation import Violation
from chaos.history.events import TermRaised, Transition
from chaos.history.record import History

NAME = "terms"


def check(history: History) -> Iterator[Violation]:
    """Each duty's change carries the term that was newest at its place in the order; duties have no other way."""
    newest: int | None = None
    for change in timeline(history.transitions, history.terms):
        if isinstance(change, TermRaised):
            if newest is not None and change.term < newest:
                yield Violation(NAME, f"term {change.term} of {change.dispatcher} came after {newest}")
            newest = change.term
        elif change.term is not None and newest is not None and change.term != newest:
            old = f"under term {change.term} of {change.application} in term {newest}"
            yield Violation(NAME, f"task {change.task} went {change.old} -> {change.new} {old}", change.task)
        elif change.term is None and _is_duty(change):
            yield Violation(NAME, f"task {change.task} went {change.old} -> {change.new} without a term", change.task)


def _is_duty(change: Transition) -> bool:
    return (change.old, change.new) == ("SCHEDULED", "QUEUED") or (change.new == "EXPIRED" != change.old)
