"""4 Attempts: each claim has the next number, and is handed to one session once."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.record import History

NAME = "attempts"


def check(history: History) -> Iterator[Violation]:
    """`attempt` rises by one at claims and nowhere else; workers start what their session claimed, once."""
    number: dict[str, int] = {}
    owner: dict[tuple[str, int], str | None] = {}
    for change in history.transitions:
        claimed = change.old == "QUEUED" and change.new == "RUNNING"
        before = number.get(change.task, 0)
        expected = before + 1 if claimed else before
        if change.attempt != expected and change.new is not None:
            verb = "claimed" if claimed else f"{change.old} -> {change.new}"
            yield Violation(
                NAME, f"task {change.task} has attempt {change.attempt} after {before}, {verb}", change.task
            )
        number[change.task] = change.attempt
        if claimed:
            if (change.task, change.attempt) in owner:
                yield Violation(NAME, f"attempt {change.attempt} of {change.task} was claimed twice", change.task)
            owner[change.task, change.attempt] = change.session
    yield from _started(history, owner)


def _started(history: History, owner: dict[tuple[str, int], str | None]) -> Iterator[Violation]:
    seen: set[tuple[str, int]] = set()
    for start in history.started:
        attempt = (start.task, start.attempt)
        what = f"attempt {start.attempt} of {start.task}"
        if attempt not in owner:
            yield Violation(NAME, f"{start.worker} started {what}, which was never claimed", start.task)
        elif start.session != owner[attempt]:
            whose = f"session {start.session} started what {owner[attempt]} had claimed"
            yield Violation(NAME, f"{what}: {whose}", start.task)
        if attempt in seen:
            yield Violation(NAME, f"{what} was started twice", start.task)
        seen.add(attempt)
