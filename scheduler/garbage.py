"""The garbage collector's pace, for processes with many short-lived objects."""

import gc


def relax() -> None:
    """Look for reference cycles less often; call it once everything long-lived is there.

    Tasks in flight are many young objects without cycles, and the default looks through them every 700 allocations:
    a fifth of the dispatcher's and the scheduler's processor time under load. What is there now is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
