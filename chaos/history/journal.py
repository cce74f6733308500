"""Append-only logs of events, a JSON line each: clients' calls and workers' attempts.

A line is written by one unbuffered append, so what has been written outlives a SIGKILL of its writer. A line that the
disk cut short is the last of its file, and is left out when it is read.
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import orjson

from chaos.history.events import Call, Ended, Injected, Read, Started, Submit
from chaos.history.record import History

Event = Submit | Call | Read | Started | Ended | Injected

# The fields of a line are what `append` wrote, so each kind takes them as they come.
_KINDS: dict[str, Callable[..., Event]] = {
    kind.__name__: kind for kind in (Submit, Call, Read, Started, Ended, Injected)
}


def steady_clock(epoch: float | None = None) -> Callable[[], float]:
    """Seconds since the epoch by the monotonic clock, so that nothing that is done to the wall clock shows.

    `epoch` is when the monotonic clock stood at zero; without it, what the wall clock says now is believed once.
    """
    zero = time.time() - time.monotonic() if epoch is None else epoch
    return lambda: zero + time.monotonic()


class Journal:
    """Appends events to a file. Times in it are seconds since the epoch; `now` tells them."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.now = clock

    def append(self, *events: Event) -> None:
        """Writes the events; when this returns, the kernel has them."""
        lines = b"".join(_line(event) for event in events)
        if os.write(self._file, lines) < len(lines):
            raise OSError(errno.ENOSPC, "the journal's disk is full")

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _line(event: Event) -> bytes:
    return orjson.dumps([type(event).__name__, *event], option=orjson.OPT_APPEND_NEWLINE)


def read(path: Path, origin: float) -> Iterator[Event]:
    """The events of a file, with times made seconds since `origin`."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                name, *fields = orjson.loads(line)
                yield _since(_KINDS[name](*map(_interned, fields)), origin)


def load(history: History, directory: Path, origin: float) -> None:
    """Adds the events of all `*.jsonl` files under the directory to the history."""
    for path in sorted(directory.rglob("*.jsonl")):
        for event in read(path, origin):
            _add(history, event)


def _add(history: History, event: Event) -> None:
    match event:
        case Submit():
            history.submits.append(event)
        case Call():
            history.calls.append(event)
        case Read():
            history.reads.append(event)
        case Started():
            history.started.append(event)
        case Ended():
            history.ended.append(event)
        case Injected():
            history.faults.append(event)


def _interned(value: object) -> object:
    # A task's id is in a dozen events from several sources; a million tasks must fit into memory.
    return sys.intern(value) if type(value) is str else value


def _since(event: Event, origin: float) -> Event:
    match event:
        case Submit() | Call() | Read():
            return event._replace(invoked=event.invoked - origin, returned=event.returned - origin)
        case Started() | Ended():
            return event._replace(at=event.at - origin)
        case Injected(began, healed):
            return event._replace(began=began - origin, healed=None if healed is None else healed - origin)
