"""5 One accepted outcome: a task moves only along the state machine, and what is terminal stays so."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import EVERY, TERMINAL, Phase, Transition
from chaos.history.record import History

NAME = "one-outcome"

LEGAL = frozenset(
    {
        (None, "SCHEDULED"),
        (None, "QUEUED"),
        ("SCHEDULED", "QUEUED"),
        ("SCHEDULED", "CANCELLED"),
        ("SCHEDULED", "EXPIRED"),
        ("QUEUED", "RUNNING"),
        ("QUEUED", "CANCELLED"),
        ("QUEUED", "EXPIRED"),
        # Its lost session brought a success before anybody else claimed it.
        ("QUEUED", "SUCCEEDED"),
        ("RUNNING", "SUCCEEDED"),
        ("RUNNING", "SCHEDULED"),
        ("RUNNING", "QUEUED"),
        ("RUNNING", "FAILED"),
        ("RUNNING", "CANCELLED"),
        # Redriven.
        ("FAILED", "QUEUED"),
    }
)


def check(history: History) -> Iterator[Violation]:
    """Every change is legal and follows from the one before; FAILED is left by redrives that somebody asked for."""
    redrives = _redrives(history)
    last: dict[str, Transition] = {}
    for change in history.transitions:
        before = last.get(change.task)
        if (before.new if before else None) != change.old:
            wrong = f"task {change.task} was {before.new if before else None}, then it went on from {change.old}"
            yield Violation(NAME, wrong, change.task)
        if change.new is not None:
            yield from _moved(history, change, before, redrives)
        last[change.task] = change


def _moved(
    history: History, change: Transition, before: Transition | None, redrives: dict[str, float]
) -> Iterator[Violation]:
    step = f"task {change.task} went from {change.old} to {change.new}"
    if change.old == change.new:
        if change.old in TERMINAL:
            yield Violation(NAME, f"task {change.task} was changed after it was {change.old}", change.task)
    elif (change.old, change.new) not in LEGAL:
        yield Violation(NAME, step, change.task)
    elif change.old == "FAILED":
        asked = min(redrives.get(change.task, float("inf")), redrives.get(EVERY, float("inf")))
        if asked > change.at + history.facts.clock_tolerance:
            yield Violation(NAME, f"{step}, and nobody had asked for a redrive", change.task)
    elif (change.old, change.new) == ("QUEUED", "SUCCEEDED") and before is not None and before.session is None:
        yield Violation(NAME, f"{step}, but no session had lost it", change.task)


def _redrives(history: History) -> dict[str, float]:
    """When the first redrive of each task, or of who knows which, was begun."""
    found: dict[str, float] = {}
    for call in history.calls:
        if call.verb == "redrive" and call.phase != Phase.FAILED:
            found[call.task] = min(call.invoked, found.get(call.task, call.invoked))
    return found
