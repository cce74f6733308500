"""What greedy clients cost the others: how long honest tasks take beside them, and how large servers become."""

from collections.abc import Iterable, Iterator, Mapping

from chaos.history.events import TERMINAL, Phase
from chaos.history.record import History
from chaos.result import FaultRecord, RestCheck

PATIENCE = 3.0
"""By what factor abuse may slow honest tasks down."""
PEAK_BYTES = 400 * 1024 * 1024
"""The most memory that a server may ever have had."""
ENDURED = ("chaos.plain",)
"""Types of tasks that take no time of their own."""


def peak_checks(peaks: Mapping[str, int]) -> Iterator[RestCheck]:
    """One for each server."""
    for part, peak in sorted(peaks.items()):
        yield RestCheck(f"peak memory of {part}", "bytes", 0, peak, PEAK_BYTES, peak <= PEAK_BYTES)


def patience_check(history: History, abuses: Iterable[FaultRecord]) -> RestCheck:
    """The 99th percentile from a task's submit to its end, before all abuse and during it."""
    spans = [(abuse.began, abuse.healed) for abuse in abuses]
    began, healed = min(span[0] for span in spans), max(span[1] for span in spans)
    quiet, abused = list[float](), list[float]()
    for submitted, ended in _lives(history):
        if ended < began:
            quiet.append(ended - submitted)
        elif began <= submitted < healed:
            abused.append(ended - submitted)
    start, end = _p99(quiet), _p99(abused)
    return RestCheck("p99 of honest tasks", "seconds", start, end, start * PATIENCE, end <= start * PATIENCE)


def _lives(history: History) -> Iterator[tuple[float, float]]:
    """When each honest task was submitted, and when it ended."""
    ended = {change.task: change.at for change in history.transitions if change.new in TERMINAL}
    for submit in history.submits:
        if submit.phase == Phase.OK and submit.type in ENDURED and submit.task in ended:
            yield submit.invoked, ended[submit.task]


def _p99(durations: list[float]) -> float:
    return sorted(durations)[int(len(durations) * 0.99)] if durations else 0.0
