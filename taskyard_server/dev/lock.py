"""One supervisor at a time for a state directory."""

import fcntl
import os
from pathlib import Path
from typing import IO

NAME = "lock"


class LockedError(RuntimeError):
    """Another supervisor holds the directory; the text says which."""


class DirectoryLock:
    """Held from entry to exit; the kernel lets go of it when the holder dies. Not inherited."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[str] | None = None

    def __enter__(self) -> "DirectoryLock":
        """Takes the lock. Raises LockedError when another process has it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        file = (self._directory / NAME).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            message = f"a development cluster (process {holder}) already runs in {self._directory}"
            raise LockedError(message) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
