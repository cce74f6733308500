"""13 Reads: no client sees a task leave a terminal state, or its attempts go back."""

from collections import defaultdict
from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import EVERY, TERMINAL, Phase, Read
from chaos.history.record import History

NAME = "monotonic-reads"


def check(history: History) -> Iterator[Violation]:
    """What is read after another read has returned, by whomever, is not older."""
    by_task: dict[str, list[Read]] = defaultdict(list)
    for read in history.reads:
        by_task[read.task].append(read)
    redrives, gone = _changes_of_mind(history)
    for task, reads in by_task.items():
        reads.sort(key=lambda read: read.invoked)
        asked = [*redrives.get(task, ()), *redrives.get(EVERY, ())]
        yield from _in_order(reads, asked, deleted=task in gone)


def _in_order(reads: list[Read], redrives: list[float], *, deleted: bool) -> Iterator[Violation]:
    returned = sorted(reads, key=lambda read: read.returned)
    seen: Read | None = None
    attempt = at = 0
    for read in reads:
        while returned[at].returned < read.invoked:
            attempt = max(attempt, returned[at].attempt)
            if returned[at].state in TERMINAL:
                seen = returned[at]
            at += 1
        where = f"{read.client} read task {read.task}"
        if read.state is None:
            if not deleted:
                yield Violation(NAME, f"{where}, which was not there", read.task)
        elif read.attempt < attempt:
            yield Violation(NAME, f"{where} at attempt {read.attempt} after {attempt}", read.task)
        elif seen is not None and read.state != seen.state:
            redriven = seen.state == "FAILED" and any(asked <= read.returned for asked in redrives)
            if not redriven:
                yield Violation(NAME, f"{where} as {read.state} after {seen.client} read {seen.state}", read.task)


def _changes_of_mind(history: History) -> tuple[dict[str, list[float]], set[str]]:
    redrives: dict[str, list[float]] = defaultdict(list)
    for call in history.calls:
        if call.verb == "redrive" and call.phase != Phase.FAILED:
            redrives[call.task].append(call.invoked)
    return redrives, {change.task for change in history.transitions if change.new is None}
