"""6 Fencing: what is accepted is what the worker of that very attempt said, by its own log."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import Ended, Transition
from chaos.history.record import History

NAME = "fencing"

_SERVER_SAYS = frozenset(
    {"CANCELLED_UNASKED", "CRASH_LOOP", "INVALID_PAYLOAD", "INVALID_RESULT", "INVALID_TASK", "NO_HANDLER", "TIMEOUT"}
)
"""Reasons that a dispatcher or the SDK gives where the handler's own log has none."""


def check(history: History) -> Iterator[Violation]:
    """Each success and failure has the worker's own word for it, from the session that claimed the attempt."""
    if not history.facts.worker_logs:
        return
    said: dict[tuple[str, int], list[Ended]] = {}
    for end in history.ended:
        said.setdefault((end.task, end.attempt), []).append(end)
    owner: dict[str, str | None] = {}
    last: dict[str, Transition] = {}
    for change in history.transitions:
        if change.new == "RUNNING" and change.old != "RUNNING":
            owner[change.task] = change.session
        words = said.get((change.task, change.attempt), [])
        mine = [word for word in words if word.session == owner.get(change.task)]
        if change.new == "SUCCEEDED" and change.old != "SUCCEEDED":
            yield from _success(change, mine)
        elif change.old == "RUNNING" and change.new in ("SCHEDULED", "FAILED"):
            yield from _failure(change, last.get(change.task, change), mine)
        last[change.task] = change


def _success(change: Transition, mine: list[Ended]) -> Iterator[Violation]:
    if not any(word.outcome == "SUCCEEDED" and word.result == change.result for word in mine):
        accepted = f"result {change.result} was accepted for attempt {change.attempt} of {change.task}"
        told = ", ".join(f"{word.outcome} {word.result}" for word in mine) or "nothing"
        yield Violation(NAME, f"{accepted}, but its worker said {told}", change.task)


def _failure(change: Transition, before: Transition, mine: list[Ended]) -> Iterator[Violation]:
    if change.failures == before.failures or change.reason in _SERVER_SAYS:
        return
    if not any(word.outcome in ("FAILED", "HOPELESS") for word in mine):
        what = f"attempt {change.attempt} of {change.task} was failed with {change.reason}"
        yield Violation(NAME, f"{what}, but its worker never said so", change.task)
