"""What a process has started, and its end.

A handler's own process leads a process group, which what it starts belongs to. Some programs are given a group of their
own; those are found as its descendants where the system says who is whose (Linux).
"""

import contextlib
import ctypes
import os
import select
import signal
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_ENDED = (b"Z", b"X")
_ROUNDS = 5
"""How often it is looked for what was started while others were killed."""
_ROUND_SECONDS = 1.0
"""How long what was killed may take to end: longer in the kernel's hands, and it is left to it."""


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
    """Kill a leader with all that it has started, and wait for the end of that, where the system tells of it."""
    if leader != os.getpid():
        # It starts nothing more, and what its children leave still becomes its own.
        _signal(leader, signal.SIGSTOP)
    for _ in range(_ROUNDS):
        if not _end(_descendants(leader)):
            break
    # The leader's group last: it may be our own.
    with contextlib.suppress(ProcessLookupError, PermissionError):  # not leading yet, or all gone
        os.killpg(leader, signal.SIGKILL)


def _end(pids: list[int]) -> bool:
    """Kill processes and wait for their end. False if there was nothing to wait for: none is to be looked for again."""
    killed = [ending for pid in pids if (ending := _killed(pid)) is not None]
    deadline = time.monotonic() + _ROUND_SECONDS
    for ending in killed:
        end = select.poll()
        end.register(ending, select.POLLIN)
        end.poll(1000 * max(deadline - time.monotonic(), 0.0))
        os.close(ending)
    return bool(killed)


def _killed(pid: int) -> int | None:
    """Kill a process; what can be read once it has ended, unless that can't be told or it won't."""
    try:
        ending = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not on this system, or it has ended
        _signal(pid, signal.SIGKILL)
        return None
    try:
        signal.pidfd_send_signal(ending, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.close(ending)
        return None
    return ending


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _descendants(pid: int) -> list[int]:
    children = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            # The name in parentheses may hold anything; state and parent's id are the fields after it.
            state, parent = entry.read_bytes().rpartition(b")")[2].split()[:2]
            if state not in _ENDED:
                children[int(parent)].append(int(entry.parent.name))
    found, todo = [], [pid]
    while todo:
        young = children.pop(todo.pop(), [])
        found += young
        todo += young
    return found
