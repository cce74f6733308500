"""1 No loss: every task that was accepted is there, ends, and stays until it may go."""

from collections import defaultdict
from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import EVERY, TERMINAL, Phase, Transition
from chaos.history.record import History

NAME = "no-loss"
ENDING_SECONDS = 10.0
"""How much longer ago than its row changed a task may have ended: retention counts from when that transaction began,
and a statement that waits for a lock is given up after that time."""


def check(history: History) -> Iterator[Violation]:
    """Acknowledged tasks were stored, all stored tasks ended, and none was deleted before its time."""
    last: dict[str, Transition] = {}
    purges = _purges(history)
    for change in history.transitions:
        if change.new is None:
            yield from _deleted(history, change, last.get(change.task), purges)
        last[change.task] = change
    for submit in history.submits:
        if submit.phase == Phase.OK and submit.task not in last:
            yield Violation(
                NAME, f"{submit.client} was told of task {submit.task}, which was never stored", submit.task
            )
    if history.facts.drained:
        for task, change in last.items():
            if change.new is not None and change.new not in TERMINAL:
                yield Violation(NAME, f"task {task} is still {change.new} after the drain", task)


def _purges(history: History) -> dict[str, list[float]]:
    """When purges of each task, or of who knows which, were begun."""
    found = defaultdict(list)
    for call in history.calls:
        if call.verb == "purge" and call.phase != Phase.FAILED:
            found[call.task].append(call.invoked)
    return found


def _deleted(
    history: History, change: Transition, before: Transition | None, purges: dict[str, list[float]]
) -> Iterator[Violation]:
    if change.old not in TERMINAL:
        yield Violation(NAME, f"task {change.task} was deleted while it was {change.old}", change.task)
    elif before is not None and change.at - before.at + ENDING_SECONDS < history.facts.retention:
        asked = purges.get(change.task, ()) or purges.get(EVERY, ())
        soon = change.at + history.facts.clock_tolerance
        if change.old != "FAILED" or not any(invoked <= soon for invoked in asked):
            kept = f"{change.at - before.at:.1f} s after it ended"
            yield Violation(NAME, f"task {change.task} was deleted {kept}, and nobody had purged it", change.task)
