"""File descriptors of running processes: taken away, given back."""

import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import psutil

_saved: dict[int, tuple[int, int]] = {}


def exhaust(processes: Iterable[psutil.Process]) -> None:
    """Lets the processes open nothing beyond what they have open now."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
            _saved.setdefault(process.pid, (soft, hard))
            process.rlimit(psutil.RLIMIT_NOFILE, (_lowest_free(process.pid), hard))


def restore(processes: Iterable[psutil.Process]) -> None:
    """Gives the processes, and children that they had meanwhile, the limits back."""
    family = list(processes)
    limits = next((_saved[process.pid] for process in family if process.pid in _saved), None)
    for process in family if limits else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_NOFILE, _saved.pop(process.pid, limits))


def _lowest_free(pid: int) -> int:
    taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in taken)
