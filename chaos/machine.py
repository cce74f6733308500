"""What this machine is, and which revision is under test."""

import platform
import shutil
import subprocess
from pathlib import Path

import psutil

from chaos.result import Machine


def machine() -> Machine:
    """This one."""
    return Machine(
        system=platform.platform(),
        processors=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        python=platform.python_version(),
    )


def commit() -> str:
    """The checkout's revision, with a plus if files differ from it; "unknown" outside of one or without git."""
    words = ("git", "describe", "--always", "--dirty=+", "--tags")
    if shutil.which(words[0]) is None:
        return "unknown"
    found = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
