"""2 No phantoms: every task comes from a submit, and from a different one each."""

from collections import Counter
from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import Phase
from chaos.history.record import History

NAME = "no-phantoms"


def check(history: History) -> Iterator[Violation]:
    """Each stored task was acknowledged, or fits a submit whose outcome its client doesn't know."""
    acknowledged: set[str | None] = set()
    unknown: Counter[str] = Counter()
    for submit in history.submits:
        if submit.phase == Phase.OK:
            acknowledged.add(submit.task)
        elif submit.phase == Phase.UNKNOWN:
            unknown[submit.request] += 1
    for change in history.transitions:
        if change.old is None and change.task not in acknowledged:
            request = change.request or ""
            if not unknown[request]:
                yield Violation(NAME, f"nobody submitted task {change.task} (request {change.request})", change.task)
            else:
                unknown[request] -= 1
