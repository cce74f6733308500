"""What a process has started, and its end.

A handler's own process leads a process group, which what it starts belongs to. Some programs are given a group of their
own; those are found as its descendants where the system says who is whose (Linux).
"""

import contextlib
import ctypes
import os
import signal
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def lead() -> None:
    """Make this process the leader of a new group, without a terminal, and heir of the children of its children."""
    os.setsid()
    with contextlib.suppress(OSError, AttributeError):  # not on Linux
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_living_children() -> bool:
    """Whether this process has children that still run. Those that have ended are let go."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def kill_tree(leader: int) -> None:
    """Kill a leader with all that it has started."""
    # The leader's group last: it may be our own.
    for pid in _descendants(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # not leading yet, or all gone
        os.killpg(leader, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            # The name in parentheses may hold anything; the parent's id is the second field after it.
            parent = int(entry.read_bytes().rpartition(b")")[2].split()[1])
            children[parent].append(int(entry.parent.name))
    found, todo = [], [pid]
    while todo:
        young = children.pop(todo.pop(), [])
        found += young
        todo += young
    return found
