"""10 Budgets: failures and lost workers are counted where they happen, one at a time, and no further than allowed."""

from collections.abc import Iterator
from typing import NamedTuple

from chaos.checks.violation import Violation
from chaos.history.events import Transition
from chaos.history.record import History

NAME = "budgets"

_FINAL = frozenset({"INVALID_PAYLOAD", "INVALID_RESULT", "INVALID_TASK", "NO_HANDLER"})
"""Failures for which no other attempt may help, whatever the handler did."""


class _Budget(NamedTuple):
    """What a task may use, and whether its worker gave it up for good."""

    max_attempts: int
    crashes_allowed: int
    given_up: bool


def check(history: History) -> Iterator[Violation]:
    """No retry beyond a budget, no FAILED with budget left, no count that rises for anything else."""
    facts = history.facts
    allowed: dict[str, int] = {}
    counts: dict[str, tuple[int, int]] = {}
    hopeless = {(end.task, end.attempt) for end in history.ended if end.outcome == "HOPELESS"}
    for change in history.transitions:
        if change.old is None:
            allowed[change.task] = change.max_attempts or facts.max_attempts
        elif change.new is not None:
            given_up = (change.task, change.attempt) in hopeless or not facts.worker_logs
            budget = _Budget(allowed.get(change.task, facts.max_attempts), facts.crashes_allowed, given_up)
            if wrong := _wrong(change, counts.get(change.task, (0, 0)), budget):
                step = f"{change.old} -> {change.new}, {change.failures} failures, {change.crashes} crashes, {budget}"
                yield Violation(NAME, f"task {change.task} {wrong} ({step})", change.task)
        counts[change.task] = (change.failures, change.crashes)


def _wrong(change: Transition, before: tuple[int, int], budget: _Budget) -> str | None:
    failures, crashes = change.failures - before[0], change.crashes - before[1]
    if (change.old, change.new) == ("FAILED", "QUEUED"):
        return "was redriven with used budgets" if change.failures or change.crashes else None
    if failures + crashes not in (0, 1) or min(failures, crashes) < 0:
        return f"had {failures} failures and {crashes} crashes counted at once"
    if failures + crashes and change.old != "RUNNING":
        return "had a failure or crash counted while it did not run"
    match change.old, change.new:
        case "RUNNING", "SCHEDULED":
            return None if failures and change.failures < budget.max_attempts else "was retried beyond its budget"
        case "RUNNING", "QUEUED":
            beyond = failures or change.crashes > budget.crashes_allowed
            return "was queued again beyond its budget" if beyond else None
        case "RUNNING", "FAILED" if failures:
            final = budget.given_up or change.failures >= budget.max_attempts or change.reason in _FINAL
            return None if final else "was FAILED with budget left"
        case "RUNNING", "FAILED":
            looped = change.crashes == budget.crashes_allowed + 1 and change.reason == "CRASH_LOOP"
            return None if looped else "was FAILED, but not by a crash loop"
    return None
