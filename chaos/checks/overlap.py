"""7 Justified overlap: another attempt begins only after the last one was handed back, failed, or lost its session."""

from collections.abc import Iterator

from chaos.checks.timeline import timeline
from chaos.checks.violation import Violation
from chaos.history.events import Ended, SessionChange, Transition
from chaos.history.record import History

NAME = "justified-overlap"


def check(history: History) -> Iterator[Violation]:
    """A crash is counted only when the session is recorded dead; what failed had ended before it starts again."""
    live: dict[str, bool] = {}
    last: dict[str, Transition] = {}
    owner: dict[str, str | None] = {}
    failed: set[tuple[str, int]] = set()
    for change in timeline(history.transitions, history.sessions):
        if isinstance(change, SessionChange):
            live[change.session] = change.live
            continue
        before = last.get(change.task)
        if change.new == "RUNNING":
            owner[change.task] = change.session
        elif before is not None and change.old == "RUNNING":
            if change.crashes > before.crashes and live.get(owner.get(change.task) or "", True):
                what = f"attempt {change.attempt} of {change.task} was counted as lost"
                yield Violation(NAME, f"{what}, but session {owner.get(change.task)} lived", change.task)
            if change.new == "SCHEDULED" and change.reason != "TIMEOUT":
                failed.add((change.task, change.attempt))
        last[change.task] = change
    yield from _overlaps(history, failed)


def _overlaps(history: History, failed: set[tuple[str, int]]) -> Iterator[Violation]:
    ends: dict[tuple[str, int], Ended] = {(end.task, end.attempt): end for end in history.ended}
    for start in history.started:
        before = (start.task, start.attempt - 1)
        if before in failed and (end := ends.get(before)) and start.at < end.at - history.facts.clock_tolerance:
            what = f"attempt {start.attempt} of {start.task} began {end.at - start.at:.3f} s before"
            yield Violation(NAME, f"{what} the failed attempt {start.attempt - 1} had ended", start.task)
