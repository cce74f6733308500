"""16 At rest: no attempt without a live session, nothing left over, sizes back to the start."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import Transition
from chaos.history.record import History

NAME = "at-rest"


def check(history: History) -> Iterator[Violation]:
    """What runs at the end has a live session, and every size that was measured is within what is allowed."""
    live = {change.session: change.live for change in history.sessions}
    running: dict[str, Transition] = {}
    for change in history.transitions:
        if change.new == "RUNNING":
            running[change.task] = change
        elif change.old == "RUNNING":
            running.pop(change.task, None)
    for task, change in running.items():
        if not live.get(change.session or "", False):
            yield Violation(NAME, f"task {task} runs in session {change.session}, which is gone", task)
    for size in history.sizes:
        if size.after > size.allowed:
            yield Violation(NAME, f"{size.name} is {size.after:g}, was {size.before:g}, may be {size.allowed:g}")
