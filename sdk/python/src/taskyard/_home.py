"""The one process and event loop that a client belongs to from its first use on.

gRPC's connections survive no fork: in the child they hang or crash. So blocking clients that have no call under way
close theirs before a fork, and both processes open new ones when they need them. What else is connected then leaves an
error in the child, at once.
"""

import asyncio
import atexit
import os
import weakref
from typing import Protocol

from taskyard.errors import TaskyardError


class Sleeper(Protocol):
    """What can close its connections for a while."""

    def _lie_down(self) -> None:
        """A fork comes: close connections if nothing is under way, and let nothing begin."""

    def _get_up(self) -> None:
        """The fork is over, in this process."""

    def close(self) -> None:
        """The process ends."""


_connected: "weakref.WeakSet[object]" = weakref.WeakSet()
"""What holds gRPC connections in this process."""
_inherited: list[object] = []
"""What held some in the process that this one was forked from."""


_sleepers: "weakref.WeakSet[Sleeper]" = weakref.WeakSet()
_lying: list[Sleeper] = []
"""Those that wait for the end of a fork."""


def sleeps(sleeper: Sleeper) -> None:
    """Have it told of every fork."""
    _sleepers.add(sleeper)


def _before_fork() -> None:
    for sleeper in list(_sleepers):
        _lying.append(sleeper)
        sleeper._lie_down()


def _after_fork() -> None:
    while _lying:
        _lying.pop()._get_up()


def connected(holder: object) -> None:
    """Note that an object holds gRPC connections, until `disconnected` or its end."""
    _connected.add(holder)


def disconnected(holder: object) -> None:
    """Note that it has closed them."""
    _connected.discard(holder)


def _in_forked_child() -> None:
    # Kept for good: gRPC crashes where it takes down what another process has set up.
    _inherited.extend(_connected)
    _after_fork()


@atexit.register
def _at_exit() -> None:
    # In a process that was forked gRPC may hang at its end where connections are left open.
    for sleeper in list(_sleepers):
        sleeper.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_forked_child)


class Home:
    """Where one client lives; it moves in with its first call."""

    def __init__(self) -> None:
        self._process: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def used(self) -> bool:
        """Whether the client has moved in anywhere."""
        return self._process is not None

    @property
    def elsewhere(self) -> bool:
        """Whether it lives in the process that this one was forked from."""
        return self._process is not None and self._process != os.getpid()

    def leave(self) -> None:
        """Move out: the next call may come from another process and event loop."""
        self._process = self._loop = None

    def enter(self) -> None:
        """Check that the client may be used here; raises TaskyardError if not."""
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._process == os.getpid():
            return
        if self._process is None:
            _check_inheritance()
            self._process, self._loop = os.getpid(), loop
            return
        if self.elsewhere:
            raise forked("this client was used before this process was forked")
        raise TaskyardError(
            "this client was used in another event loop before: make one in each", reason="CLIENT_IN_ANOTHER_LOOP"
        )


def _check_inheritance() -> None:
    if _inherited:
        raise forked("clients or workers were connected when this process was forked")


def forked(why: str) -> TaskyardError:
    """The error of a client that cannot work in a forked process."""
    advice = "make clients after the fork and close those from before it, or start processes with spawn"
    return TaskyardError(f"{why}: {advice}", reason="CLIENT_FORKED")
