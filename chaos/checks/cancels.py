"""12 Cancel: once it is stored, no further attempt of the task starts."""

import math
from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import Phase
from chaos.history.record import History

NAME = "cancel"


def check(history: History) -> Iterator[Violation]:
    """Nothing that is to be cancelled waits again or is claimed, be that by the row or by what its client was told."""
    answered = _answered(history)
    flagged: dict[str, bool] = {}
    redriven: dict[str, float] = {}
    for change in history.transitions:
        if change.old == "FAILED" and change.new == "QUEUED":
            redriven[change.task] = change.at
        elif flagged.get(change.task) and change.new in ("SCHEDULED", "QUEUED"):
            yield Violation(NAME, f"task {change.task} is {change.new} again, though it was to stop", change.task)
        if change.new == "RUNNING" and change.old != "RUNNING":
            if flagged.get(change.task):
                yield Violation(NAME, f"task {change.task} was claimed, though it was to stop", change.task)
            asked, told = answered.get(change.task, (math.inf, math.inf))
            tolerance = history.facts.clock_tolerance
            # A redrive after it was asked for may have come after it was stored, too.
            if change.at > told + tolerance and redriven.get(change.task, -math.inf) < asked - tolerance:
                late = f"{change.at - told:.3f} s after a client was told that it is cancelled"
                yield Violation(NAME, f"task {change.task} was claimed {late}", change.task)
        flagged[change.task] = change.cancel_requested


def _answered(history: History) -> dict[str, tuple[float, float]]:
    """When the first cancel to be answered of each task that could still be stopped was asked for, and answered."""
    found: dict[str, tuple[float, float]] = {}
    for call in history.calls:
        if call.verb == "cancel" and call.phase == Phase.OK and call.state in ("RUNNING", "CANCELLED"):
            before = found.get(call.task)
            if before is None or call.returned < before[1]:
                found[call.task] = call.invoked, call.returned
    return found
