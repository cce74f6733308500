"""All that happened in a schedule, line by line."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from chaos.history.record import History


def lines(history: History) -> Iterator[str]:
    """Every event in order of time."""
    for at, event in sorted(_events(history), key=lambda timed: timed[0]):
        told = ", ".join(f"{name}={value!r}" for name, value in event._asdict().items() if value not in (None, "", ()))
        yield f"{at:9.4f} {type(event).__name__} {told}"


def _events(history: History) -> Iterator[tuple[float, Any]]:
    timed: dict[str, tuple[Sequence[Any], ...]] = {
        "returned": (history.submits, history.calls, history.reads),
        "at": (history.started, history.ended, history.transitions, history.sessions, history.terms),
        "began": (history.faults,),
    }
    for name, lists in timed.items():
        for event in chain.from_iterable(lists):
            yield getattr(event, name), event
