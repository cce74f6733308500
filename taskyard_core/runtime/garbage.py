"""The garbage collector's pace and the allocator's, for processes with many short-lived objects, some of them large."""

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

from taskyard_core.runtime.clock import Clock

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024

GROWTH = 32 * 1024 * 1024
"""Bytes that a process may grow by before cycles are looked for, whatever their number."""
_LOOK_SECONDS = 1.0
LOOKS_TO_TRIM = 60
_STATM = Path("/proc/self/statm")


def relax() -> None:
    """Look for reference cycles less often; call it once everything long-lived is there.

    Tasks in flight are many young objects without cycles, and the default looks through them every 700 allocations:
    a fifth of the dispatcher's and the scheduler's processor time under load. What is there now is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _give_back()


async def watch(clock: Clock, size: Callable[[], int] | None = None, trim: Callable[[], None] | None = None) -> None:
    """Collect cycles whenever the process has grown, and give free memory back while it is large, for ever.

    Few objects can be large: a call that was refused is a cycle of exception and frame, and with it lives what was
    refused. Counting allocations would let thousands of them wait. What was freed between objects that live on stays
    with the process until it is trimmed: a third of it after a load of large results. That takes up to 50 ms.
    """
    size, trim = size or _resident, trim or _trim
    first = least = size()
    looks = 0
    while True:
        await clock.sleep(_LOOK_SECONDS)
        now, looks = size(), looks + 1
        if now - least > GROWTH:
            gc.collect()
            now = least = size()
        if looks % LOOKS_TO_TRIM == 0 and now - first > GROWTH:
            gc.collect()
            trim()
            now = size()
        least = min(least, now)


def _resident() -> int:
    """Bytes of memory that the process has; 0 where nobody tells."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _give_back() -> None:
    """Let large blocks go back to the system as soon as they are freed: payloads, results, messages.

    By itself glibc keeps ever larger ones once some were freed, and a process stays as large as it ever was.
    """
    for parameter, value in ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, 8 * _LARGE_BYTES), (_ARENA_MAX, 2)):
        _ask_allocator("mallopt", parameter, value)


def _trim() -> None:
    _ask_allocator("malloc_trim", 0)


def _ask_allocator(name: str, *arguments: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        # Another C library.
        return
    function(*arguments)
