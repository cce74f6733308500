"""The garbage collector's pace and the allocator's, for processes with many short-lived objects, some of them large."""

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024


def relax() -> None:
    """Look for reference cycles less often; call it once everything long-lived is there.

    Tasks in flight are many young objects without cycles, and the default looks through them every 700 allocations:
    a fifth of the dispatcher's and the scheduler's processor time under load. What is there now is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _give_back()


def _give_back() -> None:
    """Let large blocks go back to the system as soon as they are freed: payloads, results, messages.

    By itself glibc keeps ever larger ones once some were freed, and a process stays as large as it ever was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        # Another C library.
        return
    for parameter, value in ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, 8 * _LARGE_BYTES), (_ARENA_MAX, 2)):
        mallopt(parameter, value)
