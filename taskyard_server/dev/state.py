"""The state directory of a cluster: nobody but its owner gets into it."""

import os
from pathlib import Path

from taskyard_server.dev.lock import NAME as LOCK
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.secret import PRIVATE, close

IGNORE = ".gitignore"


class OpenDirectoryError(RuntimeError):
    """A directory cannot be kept from others; the text says what to do."""


def make_private(directory: Path) -> None:
    """Makes the directory, or closes one of an earlier start.

    Raises OpenDirectoryError for a directory that others can enter and that is not ours to close.
    """
    if not directory.exists():
        close(directory)
        # Databases do not belong into a repository. Never in a directory of somebody else's making.
        (directory / IGNORE).write_text("*\n")
    state = directory.stat()
    if state.st_mode & 0o077 and not (state.st_uid == os.geteuid() and _is_ours(directory)):
        raise OpenDirectoryError(
            f"{directory} is open to other users of this machine: close it with chmod 700, "
            "or give --dir a directory of its own"
        )
    close(directory)
    group = Postgres.group_id()
    if group is not None:
        # To be passed through, not to be looked into.
        os.chown(directory, -1, group)
        directory.chmod(PRIVATE | 0o010)


def _is_ours(directory: Path) -> bool:
    """Whether there is nothing in it, or what a cluster leaves there."""
    names = {path.name for path in directory.iterdir()}
    return LOCK in names or names <= {IGNORE, "logs"}
