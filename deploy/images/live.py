"""Runs a module from sources that may change: `live.py PACKAGES MODULE ARGUMENTS…`.

Copies the packages (`taskyard_core,taskyard_server`) out of the read-only image to LIVE, which comes first on the path,
and starts the module. Whenever a file there has changed, the process is told to end, as a pod would be, and started
again. The first process may end by itself, and this one with it; a later one that fails is started again by the next
change.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

IMAGE = Path("/opt/taskyard/packages")
LIVE = Path("/tmp/live")
LOOK_SECONDS = 0.5

Stamps = dict[Path, int]


def copy(packages: list[str], image: Path = IMAGE, live: Path = LIVE) -> None:
    """Copies the packages, unless an earlier container of this pod has. The image's bytecode would never be checked."""
    if live.exists():
        return
    fresh = live.with_suffix(".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    for name in packages:
        shutil.copytree(image / name, fresh / name, ignore=shutil.ignore_patterns("__pycache__"))
    fresh.rename(live)


def stamps(live: Path) -> Stamps:
    """When each source was written."""
    found: Stamps = {}
    for folder, folders, files in os.walk(live):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for path in (Path(folder, name) for name in files):
            # A file that is being replaced is there at the next look.
            with suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
    return found


class Live:
    """A command that is started again whenever sources change."""

    def __init__(self, command: list[str], live: Path = LIVE) -> None:
        self._command = command
        self._live = live
        self._told = False

    def stop(self, *_: object) -> None:
        """Has the process end, and then this one."""
        self._told = True

    def run(self) -> int:
        """Returns the code with which the last process ended."""
        code, changed, first = 0, True, True
        while changed and not self._told:
            seen = stamps(self._live)
            code = self._start(seen)
            if code and not first:
                self._wait(seen)
            changed, first = stamps(self._live) != seen, False
        return code

    def _start(self, seen: Stamps) -> int:
        process = subprocess.Popen(self._command)
        while process.poll() is None:
            if self._told or stamps(self._live) != seen:
                process.terminate()
                return process.wait()
            time.sleep(LOOK_SECONDS)
        return process.returncode

    def _wait(self, seen: Stamps) -> None:
        while not self._told and stamps(self._live) == seen:
            time.sleep(LOOK_SECONDS)


def main() -> None:
    """Copies what the first argument names and runs the module that the others name."""
    copy(sys.argv[1].split(","))
    live = Live([sys.executable, "-m", *sys.argv[2:]])
    signal.signal(signal.SIGTERM, live.stop)
    sys.exit(live.run())


if __name__ == "__main__":
    main()
