"""Server processes that still work in a data directory, left there by an earlier start."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

LOOK_EVERY_SECONDS = 0.05
ORPHAN_SECONDS = 3.0
SHUTDOWN_SECONDS = 30.0


class OccupiedError(RuntimeError):
    """A data directory is in use by server processes that do not leave."""


def occupants(binary: Path, directory: Path) -> list[psutil.Process]:
    """Running processes of the program `binary` whose working directory is `directory`."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # Gone meanwhile, or another user's and so not a server of ours.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            if process.exe() == str(binary) and process.cwd() == str(directory):
                found.append(process)
    return found


def orphans(found: list[psutil.Process]) -> list[psutil.Process]:
    """Those of `found` whose server is gone; none while one of them is itself a whole server."""
    return [] if any(_is_server(process) for process in found) else found


async def wait_until_left(
    binary: Path,
    directory: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Waits until no process of `binary` works in `directory`.

    Orphans of a killed server get ORPHAN_SECONDS to notice, then SIGKILL; a whole server gets
    SHUTDOWN_SECONDS to end. Raises OccupiedError when one stays.
    """
    began = clock()
    while found := occupants(binary, directory):
        waited = clock() - began
        if waited > SHUTDOWN_SECONDS:
            pids = ", ".join(str(process.pid) for process in found)
            raise OccupiedError(f"{directory} is in use by process {pids} ({binary.name})")
        if waited > ORPHAN_SECONDS:
            _kill(orphans(found))
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _is_server(process: psutil.Process) -> bool:
    try:
        # Started by its full path; children of Postgres show a title ("postgres: checkpointer").
        return Path(process.cmdline()[0]).is_absolute()
    except (psutil.NoSuchProcess, IndexError):
        return False


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
