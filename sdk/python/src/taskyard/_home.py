"""The one process and event loop that a client belongs to from its first use on.

gRPC's connections survive no fork: in the child they hang or crash. What was not used before it works there; for all
else there is an error at once.
"""

import asyncio
import os
import weakref

from taskyard.errors import TaskyardError

_connected: "weakref.WeakSet[object]" = weakref.WeakSet()
"""What holds gRPC connections in this process."""
_inherited: list[object] = []
"""What held some in the process that this one was forked from."""


def connected(holder: object) -> None:
    """Note that an object holds gRPC connections, until `disconnected` or its end."""
    _connected.add(holder)


def disconnected(holder: object) -> None:
    """Note that it has closed them."""
    _connected.discard(holder)


def _in_forked_child() -> None:
    # Kept for good: gRPC crashes where it takes down what another process has set up.
    _inherited.extend(_connected)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)


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
